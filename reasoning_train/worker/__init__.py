"""One process that works on one stage, or on one shard of it."""
