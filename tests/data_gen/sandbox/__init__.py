"""Tests of `data_gen/sandbox`."""
