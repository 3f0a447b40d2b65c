"""Evaluation: metrics with intervals, claims, and the report page."""
