"""Saying that a benchmark cannot run here."""

from __future__ import annotations

from typing import Any


def skipped(name: str, needs: str) -> dict[str, Any]:
    """The figure of a benchmark that cannot run here."""
    return {"name": name, "value": None, "unit": "", "target": needs, "ok": True}
