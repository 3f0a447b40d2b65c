"""Loss terms, one family a file. Each returns a sum; the trainer divides it once, by the weight of the whole optimizer
step."""
