"""Labelling: finished trees to rows that trainers take. Pure functions; what is drawn derives from (seed, problem id,
transform)."""
