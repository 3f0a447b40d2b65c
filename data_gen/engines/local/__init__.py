"""The engine in this process: transformers models under continuous batching."""
