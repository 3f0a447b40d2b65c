"""What `evaluate_steps` publishes: a row per way to predict and problem, and tables of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.errors import UserError
from data_gen.records.problem import Problem
from data_gen.records.solution import Solution
from reasoning_train.evaluation.first_errors import Figures, Hit, figures_of, predicted
from reasoning_train.evaluation.groups import group_of
from reasoning_train.evaluation.intervals import Estimate
from reasoning_train.evaluation.names import F1, FIRST_ERROR_COUNTS, ON_RIGHT, ON_WRONG
from reasoning_train.evaluation.summary import MOST_GROUPS, NO_GROUP, place
from reasoning_train.evaluation.tables import Table, effort
from reasoning_train.store.table_row import TableRow, of_problem


@dataclass(frozen=True, slots=True)
class Marked:
    """A solution whose first wrong step is known."""

    problem: Problem
    solution: Solution
    first_wrong: int
    """The number of steps if none is wrong."""

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.solution.steps)

    def group(self, name: str) -> str:
        """Its group by one of its tags, or by `difficulty`."""
        return group_of(name, self.solution.tags, self.problem.difficulty) or NO_GROUP


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What one way to predict said of every solution."""

    name: str
    how: str
    """`head, below 0.42`."""
    first: Sequence[int]
    """Predicted first wrong step per solution; the number of steps for no error."""
    tokens: Sequence[int]
    """Tokens that each solution cost."""
    oracle: bool = False
    """Whether gold was used."""

    def hits(self, marked: Sequence[Marked]) -> list[Hit]:
        """Which predictions are right."""
        pairs = zip(marked, self.first, strict=True)
        return [Hit(one.problem.id, one.first_wrong < one.steps, said == one.first_wrong) for one, said in pairs]


def below(scores: Sequence[Sequence[float]], threshold: float) -> list[int]:
    """The prediction for every solution."""
    return [predicted(one, threshold) for one in scores]


def table_rows(way: Predictions, marked: Sequence[Marked]) -> list[TableRow]:
    """One row per problem: the share of its solutions that are judged exactly right, and the counts behind the figures.
    Claims pair problems by them."""
    grouped: dict[str, list[int]] = {}
    for i, one in enumerate(marked):
        grouped.setdefault(one.problem.id, []).append(i)
    hits = way.hits(marked)
    return [_row(way, marked, hits, places) for places in grouped.values()]


def _row(way: Predictions, marked: Sequence[Marked], hits: Sequence[Hit], places: Sequence[int]) -> TableRow:
    first, own = marked[places[0]], [hits[i] for i in places]
    faulty, sound = ([hit.found for hit in own if hit.wrong is wrong] for wrong in (True, False))
    counts = len(faulty), sum(faulty), len(sound), sum(sound)
    accuracy = sum(hit.found for hit in own) / len(own)
    said = {
        "gold": "; ".join(_said(marked[i].first_wrong, marked[i].steps) for i in places),
        "answer": "; ".join(_said(way.first[i], marked[i].steps) for i in places),
        "solution": first.solution.text,
    }
    cost = float(sum(way.tokens[i] for i in places))
    return TableRow(
        policy=way.name,
        strategy=way.how,
        **{**of_problem(first.problem), **said},
        verdict="correct" if accuracy == 1 else "wrong",
        accuracy=accuracy,
        tokens=cost,
        scored_tokens=cost,
        oracle=way.oracle,
        measures=dict(zip(FIRST_ERROR_COUNTS, map(float, counts), strict=True)),
    )


def _said(first: int, steps: int) -> str:
    return "no error" if first >= steps else f"step {first + 1}"


def measured(ways: Sequence[Predictions], marked: Sequence[Marked]) -> dict[str, Figures]:
    """Every way's figures over all solutions."""
    return {way.name: figures_of(way.hits(marked)) for way in ways}


def numbers(figures: Figures) -> dict[str, Any]:
    """The figures as a manifest stores them."""
    shares = {ON_WRONG: figures.on_wrong, ON_RIGHT: figures.on_right, F1: figures.f1}
    found: dict[str, Any] = {name: one.numbers for name, one in shares.items() if one}
    return {**found, "wrong": figures.wrong, "right": figures.right}


def figure_table(
    ways: Sequence[Predictions], figures: Mapping[str, Figures], tried: Mapping[str, Mapping[str, int]]
) -> Table:
    """One row per way to predict."""
    whole = next(iter(figures.values()))
    rows = []
    for way in ways:
        cost = f"{sum(way.tokens) / max(1, len(way.tokens)):.1f}"
        row = [_name(way), way.how, *_cells(figures[way.name]), cost]
        rows.append([*row, *([effort(tried.get(way.name, {}))] if tried else [])])
    return {
        "title": f"{whole.wrong} solutions with an error, {whole.right} without, % with 95 % intervals",
        "columns": ["scorer", "predicts", *_HEADS, "tokens", *(["tried"] if tried else [])],
        "rows": rows,
    }


def tag_table(name: str, ways: Sequence[Predictions], marked: Sequence[Marked]) -> Table:
    """Every way's figures in every group of solutions. UserError if no solution has the tag, or if there are too many
    groups."""
    groups = sorted({one.group(name) for one in marked}, key=place)
    if groups == [NO_GROUP]:
        raise UserError(f"by: no solution has a tag {name!r}. Name a tag of problems or solutions, or `difficulty`.")
    if len(groups) > MOST_GROUPS:
        raise UserError(f"by: {name!r} has {len(groups)} values; expected {MOST_GROUPS} at most. Name a coarser tag.")
    rows = []
    for group in groups:
        for way in ways:
            pairs = zip(marked, way.hits(marked), strict=True)
            figures = figures_of([hit for one, hit in pairs if one.group(name) == group])
            rows.append([group, str(figures.wrong), str(figures.right), _name(way), *_cells(figures)])
    return {
        "title": f"by {name}, % with 95 % intervals",
        "columns": [name, "with an error", "without", "scorer", *_HEADS],
        "rows": rows,
    }


_HEADS = ("on wrong", "on right", "F1")


def _cells(figures: Figures) -> list[str]:
    return [_shown(one) for one in (figures.on_wrong, figures.on_right, figures.f1)]


def _shown(share: Estimate | None) -> str:
    return share.percent() if share else ""


def _name(way: Predictions) -> str:
    return f"{way.name} (oracle)" if way.oracle else way.name
