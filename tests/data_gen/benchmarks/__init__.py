"""The shipped tasks of standard benchmarks, one file a family."""
