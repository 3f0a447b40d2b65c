"""Trains, evaluates and orchestrates: recipes, stages, trainers, evaluation."""

__version__ = "0.1.0"
