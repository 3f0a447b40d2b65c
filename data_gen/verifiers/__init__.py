"""In-process verifiers: a backbone with a value head, how it reads a partial solution, and its batched forward."""
