"""SLURM: one job a stage, from a plan and the profile of a cluster."""
