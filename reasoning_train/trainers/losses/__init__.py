"""Loss terms, one file a loss. Each returns a sum; the trainer divides it once, by the weight of the whole optimizer
step."""
