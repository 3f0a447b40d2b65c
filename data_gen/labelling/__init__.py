"""Labelling turns finished trees into training rows. Its functions are pure; random draws derive from (seed, problem
id, transform)."""
