"""In-process verifiers: a backbone with a value head, its reading of partial solutions, and its batched forward."""
