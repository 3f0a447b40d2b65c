"""Making, loading and saving policies: what stands between a `model` artifact and a live module."""
