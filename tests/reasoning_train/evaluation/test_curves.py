"""Curves of accuracy against budget: what manifests come to, how it is drawn, and what READMEs and programs get."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning_train.evaluation.report.budget_svg import LABEL_GAP, log_ticks, spread
from reasoning_train.evaluation.report.budgets import budget_view, curve_table
from reasoning_train.evaluation.report.curves import BudgetFigure, budget_figures
from reasoning_train.evaluation.report.gather import StageView
from reasoning_train.evaluation.report.markdown import run_figures
from reasoning_train.evaluation.report.page import Page, write_page
from tests.reasoning_train.evaluation.curve_views import metrics, ref, search_view, table_view

BEAMS = {"beam@2": metrics(0.5, 100), "beam@16": metrics(0.7, 800), "beam@4": metrics(0.6, 200)}


def only(views: list[StageView]) -> BudgetFigure:
    [figure] = budget_figures(views)
    return figure


def test_rows_that_end_in_a_number_are_points_of_one_curve() -> None:
    """By number and not as texts. The row of the whole pool ends its curve; a row of another name is a point."""
    rows = {**BEAMS, "greedy": metrics(0.4, 20), "rm@1": metrics(0.3, 30), "rm": metrics(0.5, 240)}
    figure = only([table_view(rows, uses="evaluate_verifier")])
    [whole] = figure.panels
    assert {curve.name: [point.row for point in curve.points] for curve in whole.curves} == {
        "beam": ["beam@2", "beam@4", "beam@16"],
        "greedy": ["greedy"],
        "rm": ["rm@1", "rm"],
    }
    assert (figure.seeds, whole.problems, figure.costs()) == (1, 40, ["tokens"])


def test_tables_without_a_curve_have_no_figure() -> None:
    assert budget_figures([table_view({"base": metrics(0.4, 20), "tuned": metrics(0.5, 20)})]) == []
    assert budget_figures([table_view({"a@1": metrics(0.4, 20), "a@2": metrics(0.5, 20)})]) == []
    assert budget_figures([StageView(name="x", uses="sft", key="k", seed=0, state="failed")]) == []


def test_seeds_are_one_figure() -> None:
    views = [
        table_view({"beam@2": metrics(0.5, 100), "beam@4": metrics(0.6, 300)}, "eval@0"),
        table_view({"beam@2": metrics(0.7, 200), "beam@4": metrics(0.6, 300), "late": metrics(0.1, 9)}, "eval@1"),
        table_view(BEAMS, "other"),
    ]
    merged, alone = budget_figures(views)
    assert (merged.name, merged.seeds, alone.name, alone.seeds) == ("eval", 2, "other", 1)
    (two, four), (late,) = (curve.points for curve in merged.panels[0].curves)
    assert (two.accuracy.value, two.costs["tokens"], two.seeds) == (pytest.approx(0.6), 150.0, 2)
    # t of one degree of freedom is 12.7, the standard error 0.1; equal seeds have the intervals over problems
    assert (two.accuracy.low, two.accuracy.high) == (0.0, 1.0)
    assert (four.accuracy.low, four.accuracy.high) == (pytest.approx(0.58), pytest.approx(0.62))
    assert (late.seeds, late.accuracy.value) == (1, 0.1)


def test_a_panel_a_group() -> None:
    easy = {"problems": 30, "policies": {"beam@2": metrics(0.9, 80), "beam@4": metrics(1.0, 160)}}
    hard = {"problems": 10, "policies": {"beam@2": metrics(0.1, 150), "beam@4": metrics(0.2, 320)}}
    figure = only([table_view(BEAMS, groups={"difficulty": {"1": easy, "2": hard}})])
    assert [(panel.by, panel.group, panel.problems) for panel in figure.panels] == [
        ("", "", 40),
        ("difficulty", "1", 30),
        ("difficulty", "2", 10),
    ]
    assert [point.costs["tokens"] for point in figure.panels[2].curves[0].points] == [150, 320]
    [(cost, panels)] = budget_view(figure).costs
    assert cost == "tokens" and [title for title, _ in panels] == [
        "all problems (40)",
        "difficulty 1 (30)",
        "difficulty 2 (10)",
    ]
    grids = [re.findall(r'class="tick" x="40"[^>]*>(\d+)<', svg) for _, svg in panels]
    assert grids[1] == grids[2] != grids[0]  # groups share their axes


def test_seconds_are_those_of_the_searches_by_tokens() -> None:
    """A pool of 10 trees of 400 tokens took 40 s: 0.01 s a token. Half of the tokens are half of the seconds. What a
    table of another kind, or of a search that is not known, took is not known either."""
    strategies = {
        "vote": {"trees": ref("pool"), "rates": None},
        "beam@2": {"trees": ref("beams"), "rates": None},
        "lost": {"trees": ref("gone"), "rates": None},
    }
    rows = {
        "vote@4": metrics(0.5, 200, calls=4),
        "vote@8": metrics(0.6, 400, calls=8),
        "vote, predicted@4": metrics(0.5, 100),
        "beam@2": metrics(0.7, 90),
        "lost": metrics(0.1, 50),
    }
    views = [
        search_view("pool", trees=10, tokens=400, seconds=40),
        search_view("beams", trees=10, tokens=100, seconds=2),
        table_view(rows, config={"strategies": strategies}),
    ]
    figure = only(views)
    points = {point.row: point.costs for curve in figure.panels[0].curves for point in curve.points}
    assert {row: costs.get("seconds") for row, costs in points.items()} == {
        "vote@4": pytest.approx(2.0),
        "vote@8": pytest.approx(4.0),
        "vote, predicted@4": pytest.approx(1.0),
        "beam@2": pytest.approx(0.18),
        "lost": None,
    }
    assert figure.costs() == ["tokens", "calls", "seconds"]
    by_cost = {cost: panels[0][1] for cost, panels in budget_view(figure).costs}
    assert "beam@2" in by_cost["seconds"] and "beam@2" not in by_cost["calls"] and "lost" not in by_cost["seconds"]


def test_samples_that_a_search_began_with_count_by_the_share_that_it_used() -> None:
    """8 of 16 samples that took 60 s, and 40 s of scoring them."""
    pool = search_view("pool", trees=10, tokens=400, seconds=40, solutions=ref("drawn"))
    manifest = {"uses": "sample", "config": {"n": 16}, "wall_s": 60.0, "metrics": {}}
    drawn = StageView(name="drawn", uses="sample", key="key of drawn", seed=0, state="ran", manifest=manifest)
    rows = {"vote@4": metrics(0.5, 200), "vote@8": metrics(0.6, 400)}
    table = table_view(rows, config={"strategies": {"vote": {"trees": ref("pool"), "rates": None}}})
    last = only([pool, drawn, table]).panels[0].curves[0].points[-1]
    assert last.costs["seconds"] == pytest.approx(7.0)
    assert only([pool, table]).costs() == ["tokens"]


def limited(**more: float) -> StageView:
    """A measured curve and its prediction, in two seeds' worth of one table."""
    rows = {
        "until@1": metrics(0.3, 50),
        "until@4": metrics(0.45, 120),
        "until, predicted@1": metrics(0.3, 50),
        "until, predicted@64": metrics(0.5, 260),
    }
    group = {"problems": 4, "policies": rows}
    plateau = {"plateau": [0.52, 0.4, 0.6], "groups": {"level": {"1": {"plateau": [0.25, 0.1, 0.4]}}}}
    return table_view(rows, groups={"level": {"1": group}}, limits={"until": plateau}, oracle=["until@4"])


def test_predictions_are_dashed_beside_what_was_measured() -> None:
    figure = only([limited()])
    measured, predicted = figure.panels[0].curves
    assert (measured.predicted, measured.oracle, measured.plateau) == (False, True, None)
    assert (predicted.predicted, predicted.measured_name, predicted.plateau) == (True, "until", 0.52)
    assert figure.panels[1].curves[1].plateau == 0.25
    [(_, [(_, svg), _])] = budget_view(figure).costs
    assert svg.count('class="line s0"') == 1 and svg.count('class="line s0 dashed"') == 1
    assert "until, predicted: plateau 52.0 %" in svg and "until (oracle)" in svg
    assert svg.count('class="mark s0"') == 2  # those of the measured curve


def test_one_seed_has_no_band_and_two_have_one() -> None:
    one, two = only([table_view(BEAMS)]), only([table_view(BEAMS, "eval@0"), table_view(BEAMS, "eval@1")])
    [(_, [(_, single)])], [(_, [(_, double)])] = budget_view(one).costs, budget_view(two).costs
    assert "band" not in single and double.count('class="band s0"') == 1
    assert "no bands" in budget_view(one).about and "means of 2 seeds" in budget_view(two).about
    lone = {**BEAMS, "greedy": metrics(0.4, 20)}
    svg = budget_view(only([table_view(lone, "eval@0"), table_view(lone, "eval@1")])).costs[0][1][0][1]
    assert svg.count('class="whisker s1"') == 1


def test_many_curves_stay_apart() -> None:
    """Thirty equal curves: labels do not overlap and stand in the picture, and no two look alike."""
    rows = {f"{i} & <{'long name ' * 4}>@{n}": metrics(0.5, 100.0 * n) for i in range(30) for n in (1, 2)}
    svg = budget_view(only([table_view(rows)])).costs[0][1][0][1]
    root = ElementTree.fromstring(svg)
    height, width = (float(root.attrib["viewBox"].split()[i]) for i in (3, 2))
    labels = [
        (float(one.attrib["x"]), float(one.attrib["y"])) for one in root.iter("text") if "name" in one.attrib["class"]
    ]
    assert len(labels) == 30 and all(0 < y < height and x < width - 150 for x, y in labels)
    assert all(b - a >= LABEL_GAP - 0.2 for a, b in itertools.pairwise(sorted(y for _, y in labels)))
    looks = {
        (one.attrib["class"], re.sub(r"[\d.,-]+", "", one.attrib["d"]), one.attrib["d"].split(" ", 1)[1])
        for one in root.iter("path")
        if one.attrib["class"].startswith("mark")
    }
    assert len(looks) == 30
    assert "nan" not in svg


def test_a_single_budget_and_full_marks_can_be_drawn() -> None:
    rows = {"a@1": metrics(1.0, 100), "a@2": metrics(1.0, 101), "b": {"accuracy": [0.0, 0.0, 0.1], "tokens": [0.0] * 3}}
    svg = budget_view(only([table_view(rows)])).costs[0][1][0][1]
    assert "nan" not in svg and ">b<" not in svg  # nothing was charged: it has no place on a logarithmic axis
    ElementTree.fromstring(svg)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=20))
def test_labels_are_moved_apart_in_their_order(places: list[float]) -> None:
    found = spread(places, 14, 0, 300)
    assert all(-1e-6 <= y <= 300 + 1e-6 for y in found)
    ordered = [found[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 14 - 1e-6 for a, b in itertools.pairwise(ordered))
    if all(b - a >= 14 for a, b in itertools.pairwise(sorted(places))):
        assert found == pytest.approx(places)


@given(st.floats(1e-3, 1e6), st.floats(1.05, 1e5))
def test_ticks_of_a_logarithmic_axis(low: float, factor: float) -> None:
    found = log_ticks(low, low * factor)
    assert 2 <= len(found) <= 7 and all(low * (1 - 1e-6) <= one <= low * factor * (1 + 1e-6) for one in found)
    assert found == sorted(found)


def test_a_readme_has_a_row_a_curve_and_no_table_of_each_seed() -> None:
    rows = {**BEAMS, "greedy": metrics(0.4, 20)}
    views = [table_view(rows, "eval@0"), table_view(rows, "eval@1"), table_view({"base": metrics(0.1, 5)}, "plain")]
    text = run_figures(views, {"started": "2026-01-02T03:04:05"})
    assert "**eval** · accuracy against budget, 40 problems: % with 95 % intervals, mean of 2 seeds, at tokens" in text
    assert "| strategy | @2 | @4 | @16 | whole |" in text
    assert "| beam | 50.0 [48.0, 52.0] at 100 | 60.0 [58.0, 62.0] at 200 | 70.0 [68.0, 72.0] at 800 |  |" in text
    assert "| greedy |  |  |  | 40.0 [38.0, 42.0] at 20 |" in text
    assert "**eval@0**" not in text and "**plain** · " in text
    assert "**eval** · \n" in run_figures([table_view(rows)], {"started": "2026-01-02T03:04:05"})
    assert curve_table(only([limited()]))["columns"] == ["strategy", "@1", "@4", "@64", "plateau"]
    assert curve_table(only([limited()]))["rows"][1][4] == "52.0"


def test_large_costs_are_whole_numbers() -> None:
    figure = only([table_view({"a@1": metrics(0.5, 881.34), "a@2": metrics(0.6, 16384.4)})])
    assert [cell.rpartition(" at ")[2] for cell in curve_table(figure)["rows"][0][1:]] == ["881.3", "16384"]


def test_of_many_numbers_a_readme_shows_those_that_double() -> None:
    rows = {f"vote@{n}": metrics(0.5, 10.0 * n) for n in range(1, 12)}
    assert curve_table(only([table_view(rows)]))["columns"] == ["strategy", "@1", "@2", "@4", "@8", "@11"]


def test_the_page_switches_costs_without_scripts_and_its_numbers_stand_beside_it(tmp_path: Path) -> None:
    rows = {"vote@4": metrics(0.5, 200, calls=4), "vote@8": metrics(0.6, 400, calls=8)}
    page = Page(title="t", about="", facts={}, views=[table_view(rows)], table=None)
    write_page(page, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count('type="radio"') == 2 and text.count(" checked>") == 1 and text.count('<div class="panels">') == 2
    assert "<script" not in text and "Accuracy against budget" in text
    [found] = json.loads((tmp_path / "page.json").read_text())["curves"]
    [panel] = found["panels"]
    assert (found["table"], found["seeds"], panel["problems"]) == ("eval", 1, 40)
    assert panel["curves"] == [
        {
            "name": "vote",
            "points": [
                {"row": "vote@4", "n": 4, "accuracy": [0.5, 0.48, 0.52], "seeds": 1, "tokens": 200, "calls": 4},
                {"row": "vote@8", "n": 8, "accuracy": [0.6, 0.58, 0.62], "seeds": 1, "tokens": 400, "calls": 8},
            ],
        }
    ]
    plain = table_view({"base": metrics(0.4, 20)})
    write_page(Page(title="t", about="", facts={}, views=[plain], table=None), tmp_path / "plain.html")
    assert "Accuracy against budget" not in (tmp_path / "plain.html").read_text()
    assert not (tmp_path / "plain.json").exists()


def test_colours_can_be_told_apart_and_read() -> None:
    """On cards of either scheme: contrast of at least 3:1, and no two of a scheme alike."""
    page = Path(write_page.__code__.co_filename).with_name("report.html.j2").read_text(encoding="utf-8")
    for scheme in re.findall(r":root \{([^}]*)\}", page):
        colours = dict(re.findall(r"--(\w+): (#\w+)", scheme))
        card, series = colours["card"], [colours[f"s{i}"] for i in range(8)]
        assert all(_contrast(one, card) >= 3 for one in series)
        assert all(_distance(a, b) > 60 for a, b in itertools.combinations(series, 2))


def _channels(colour: str) -> list[float]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return [int(digits[i : i + 2], 16) for i in (0, 2, 4)]


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _channels(colour)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _distance(one: str, other: str) -> float:
    return sum((a - b) ** 2 for a, b in zip(_channels(one), _channels(other), strict=True)) ** 0.5
