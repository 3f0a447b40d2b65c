"""Formats a summary as text tables for terminals, reports and READMEs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_gen.measures.base import COSTS, CURVES
from reasoning_train.evaluation.cut import cut_warning
from reasoning_train.evaluation.intervals import Estimate
from reasoning_train.evaluation.names import bounds_of

Table = dict[str, Any]
"""`{"title": ..., "columns": [...], "rows": [[...]]}`; all values are text."""


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row per policy: strategy, metrics with intervals, paired difference, share cut and costs. An arrow marks
    measures for which lower is better. `(n=17)` follows a value that not every problem has. If any row was chosen on
    dev, `tried` says out of how many candidates. The title warns of policies of which a limit cut more than 2 %.
    Strategies that may abstain have their coverage and risk beside the accuracy."""
    names, measured = _columns(summary), set[str]().union(*summary["policies"].values())
    costs = [m for m in COSTS if m in measured]
    rows, tried = [], summary.get("tried", {})
    for policy, metrics in summary["policies"].items():
        costly = [f"{metrics[m][0]:.1f}" if m in metrics else "" for m in costs]
        cells = [*_cells(policy, names, summary), *costly, *([effort(tried.get(policy, {}))] if tried else [])]
        rows.append([_marked(policy, summary), summary["strategies"][policy], *cells])
    shares = {name: metrics["cut"][0] for name, metrics in summary["policies"].items() if "cut" in metrics}
    shares |= {f"the samples of {name}": share for name, share in summary.get("cut_samples", {}).items()}
    warned = f". Warning: {said}" if (said := cut_warning(shares)) else ""
    dropped = f", {n} unverifiable left out" if (n := summary["unverifiable"]) else ""
    heads = [*_heads(names, summary), *costs, *(["tried"] if tried else [])]
    abstain = ", an abstention is not right in `accuracy`" if "coverage" in names else ""
    return {
        "title": f"{summary['problems']} problems{dropped}, % with 95 % intervals, differences paired{abstain}{warned}",
        "columns": ["policy", "strategy", *heads],
        "rows": rows,
    }


def effort(choices: Mapping[str, int]) -> str:
    """How many candidates a row was chosen from, by the `choose` stages behind it.

    >>> effort({"best": 4}), effort({"best": 4, "best_verifier": 3}), effort({})
    ('1 of 4', '1 of 4, 1 of 3', 'not tuned')
    """
    return ", ".join(f"1 of {n}" for n in choices.values()) or "not tuned"


def group_tables(summary: Mapping[str, Any]) -> list[Table]:
    """One table per name in `by`: each group's number of problems and every policy's metrics on them."""
    return [_group_table(name, groups, summary) for name, groups in summary["groups"].items()]


def _group_table(name: str, groups: Mapping[str, Any], whole: Mapping[str, Any]) -> Table:
    names = _columns(whole)
    rows = []
    for value, group in groups.items():
        summary = {**whole, **group}
        shown = [[_marked(policy, summary), *_cells(policy, names, summary)] for policy in summary["policies"]]
        rows += [[value, str(group["problems"]), *cells] for cells in shown]
    return {
        "title": f"by {name}, % with 95 % intervals, differences paired",
        "columns": [name, "n", "policy", *_heads(names, whole)],
        "rows": rows,
    }


def _columns(summary: Mapping[str, Any]) -> list[str]:
    """The metrics of any policy. Coverage and what belongs to it follow the accuracy, where a strategy may abstain."""
    measured = dict.fromkeys(metric for metrics in summary["policies"].values() for metric in metrics)
    selective = [m for m in ("coverage", *CURVES) if m in measured] if "coverage" in measured else []
    rest = [m for m in measured if m not in ("accuracy", "coverage", *CURVES, *COSTS, "cut")]
    return [*(m for m in ("accuracy",) if m in measured), *selective, *rest]


def _heads(names: list[str], summary: Mapping[str, Any]) -> list[str]:
    marked = [f"{name} ↓" if name in (*summary["lower"], *CURVES) else name for name in names]
    return [*marked, f"accuracy - {summary['base']}", "cut"]


def _cells(policy: str, names: list[str], summary: Mapping[str, Any]) -> list[str]:
    metrics, change = summary["policies"][policy], summary["differences"].get(policy, {}).get("accuracy")
    difference = Estimate(*change).percent(signed=True) if change else ""
    return [*(_shown(name, metrics, summary) for name in names), difference, f"{100 * metrics['cut'][0]:.1f}"]


def _shown(metric: str, metrics: Mapping[str, list[float]], summary: Mapping[str, Any]) -> str:
    """Shares in per cent; other measures, whose unit is unknown, as plain numbers. Empty without a value."""
    if metric not in metrics:
        return ""
    having = f" (n={summary['partial'][metric]})" if metric in summary["partial"] else ""
    if bounds_of(metric, summary["shares"]):
        return Estimate(*metrics[metric]).percent() + having
    value, low, high = (f"{number:.3g}" for number in metrics[metric])
    return f"{value} [{low}, {high}]{having}"


def _marked(policy: str, summary: Mapping[str, Any]) -> str:
    return f"{policy} (oracle)" if policy in summary["oracle"] else policy
