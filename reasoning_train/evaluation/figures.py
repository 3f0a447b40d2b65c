"""Which metrics of a stage are worth a line of their own: on the terminal, on the page and in a README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = (
    "pass_rate",
    "wrong_step_share_of_correct",
    "cut_share",
    "steps",
    "dev_accuracy",
    "verdict",
    "mean_margin",
    "right_share_of_steps",
    "informed_targets",
)
"""Names of metrics, in the order in which they are shown."""


def figures(manifest: Mapping[str, Any]) -> list[str]:
    """E.g. `["pass_rate 0.463", "cut_share 0"]` of an artifact's manifest."""
    metrics = manifest.get("metrics", {})
    return [f"{name} {_short(metrics[name])}" for name in SHOWN if name in metrics]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
