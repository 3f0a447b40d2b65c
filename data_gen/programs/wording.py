"""Checks of the templates that programs are configured with."""

from __future__ import annotations


def needs(field: str, template: str, *places: str) -> None:
    """ValueError unless a template holds the question, as `{question}` or `{asked}`, and these places."""
    missing = [f"{{{name}}}" for name in places if f"{{{name}}}" not in template]
    if "{question}" not in template and "{asked}" not in template:
        missing = ["{question} or {asked}", *missing]
    if missing:
        raise ValueError(f"{field} must hold {' and '.join(missing)}, got {template[:80]!r}")
