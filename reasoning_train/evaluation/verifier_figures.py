"""A verifier's figures besides accuracies: AUC, Brier score and calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data_gen.records.scales import Scale
from reasoning_train.evaluation.intervals import Estimate, interval
from reasoning_train.evaluation.names import SHARE
from reasoning_train.evaluation.pools import Scored
from reasoning_train.evaluation.ranking import auc, brier, debiased_calibration_error, resampled
from reasoning_train.evaluation.tables import Table

Figure = Estimate | float
"""A figure of a verifier, with its interval if a valid one is known."""


def figures_of(scored: Sequence[Scored]) -> dict[str, Figure]:
    """AUC within problems (mean over problems with both right and wrong solutions) and pooled; for probabilities also
    the Brier score and the debiased calibration error."""
    scores, right = [one.scores for one in scored], [one.pool.right for one in scored]
    within = [a for s, r in zip(scores, right, strict=True) if (a := auc(s, r)) is not None]
    figures: dict[str, Figure | None] = {
        "AUC within": interval(np.array(within), SHARE) if within else None,
        "AUC pooled": resampled(auc, scores, right),
    }
    if all(one.scale is Scale.P for one in scored):
        figures |= {"Brier": resampled(brier, scores, right), "ECE": debiased_calibration_error(scores, right)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def with_figures(table: Table, figures: Mapping[str, Mapping[str, Figure]]) -> Table:
    """The table with a column for every figure, empty in rows without a verifier."""
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    rows = [
        [*row, *(_shown(found[n]) if (found := figures.get(row[0], {})) and n in found else "" for n in names)]
        for row in table["rows"]
    ]
    return {**table, "columns": [*table["columns"], *names], "rows": rows}


def numbers(figure: Figure) -> list[float]:
    """[value, low, high], or [value] if there is no valid interval."""
    return [figure] if isinstance(figure, float) else figure.numbers


def _shown(figure: Figure) -> str:
    return f"{100 * figure:.1f}" if isinstance(figure, float) else figure.percent()
