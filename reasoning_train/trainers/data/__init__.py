"""Rows of data to traces that a trainer packs."""
