"""Loss terms, one file per loss. Each returns a sum; the trainer divides it once by the normalizer of the whole
optimizer step."""
