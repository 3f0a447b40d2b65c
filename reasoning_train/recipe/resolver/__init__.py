"""Resolves references: their text, their scope, stages, implicit nodes, and plain values."""
