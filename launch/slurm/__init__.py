"""SLURM: one job per stage, from a plan and the profile of a cluster."""
