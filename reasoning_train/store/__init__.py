"""Artifacts on disk: the store, manifests, cards, logs, locks and rows."""
