"""Thin adapters between the recipe and the work: one file a stage, a typed config and a function each."""
