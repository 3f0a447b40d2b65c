"""Selects the metrics of a stage that the terminal, the report page and READMEs show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = (
    "pass_rate",
    "wrong_step_share_of_correct",
    "cut_share",
    "steps",
    "trained_tokens",
    "dev_accuracy",
    "verdict",
    "mean_margin",
    "right_share_of_steps",
    "informed_targets",
    "warning",
)
"""Names of the metrics, in display order."""


def figures(manifest: Mapping[str, Any]) -> list[str]:
    """The shown metrics of an artifact's manifest, such as `["pass_rate 0.463", "cut_share 0"]`."""
    metrics = manifest.get("metrics", {})
    return [f"{name} {_short(metrics[name])}" for name in SHOWN if name in metrics]


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
