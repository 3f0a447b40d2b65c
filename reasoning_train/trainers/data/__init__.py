"""Converts data rows into traces that a trainer packs."""
