"""The figures of recipes/benchmarks beside those of other tools, on the same generations."""
