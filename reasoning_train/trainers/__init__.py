"""Trainers on top of `transformers.Trainer`: what forms a step, its loss, its checkpoints."""
