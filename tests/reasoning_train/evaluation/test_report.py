"""The report page of a finished and of a failed run: complete, self-contained, and safe against the text it shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from launch.runs import RunFolder
from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.figures import figures
from reasoning_train.evaluation.report import write_figures, write_report
from reasoning_train.evaluation.report.chart_svg import chart_svg, ticks
from reasoning_train.evaluation.report.gather import StageView
from reasoning_train.evaluation.report.graph_svg import BOX_H, LEAST_W, Box, graph_svg
from reasoning_train.evaluation.report.markdown import markdown_table, run_figures
from reasoning_train.evaluation.report.page import totals
from reasoning_train.evaluation.summary import summarise_rows
from reasoning_train.evaluation.tables import group_tables, summary_table
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.rows import row
from tests.reasoning_train.store.test_state_files import no_space_beyond

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Counts tags, collects addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action", "data")]


def report(bench: Bench, states: dict[str, dict[str, str]]) -> tuple[str, Path]:
    folder = RunFolder(bench.store, bench.plan)
    for name in bench.nodes:
        folder.node(name, **{"state": "ran", **states.get(name, {})})
    folder.close("failed" if states else "done", 1.0)
    path = write_report(folder.path, bench.store)
    assert path == folder.path / "report.html"
    return path.read_text(encoding="utf-8"), folder.path


@pytest.fixture
def finished(bench: Bench, one_thread: None) -> Bench:
    """A trained policy and a claim over a table whose questions and solutions are hostile."""
    bench.model()
    bench.gold()
    bench.make("tuned", "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, batch_size=4, max_steps=30)
    rows = [
        row(name, f"p{i}", name == "tuned", question=EVIL, solution=EVIL, answer=EVIL)
        for name in ("base", "tuned")
        for i in range(4)
    ]
    table = bench.given("eval", "t_evaluation", rows)
    bench.make("claim", "claim", table=[table], form={"uses": "difference", "better": "tuned", "than": "base"})
    return bench


def test_a_finished_run(finished: Bench) -> None:
    text, _ = report(finished, {})
    page = Page(text)
    assert page.tags.count("svg") >= 3  # the graph, the loss and the gradient norm at least
    assert page.tags.count("table") == 1
    assert "claim on accuracy: 1 of 5 seeds, no verdict" in text
    assert "tuned - base" in text
    assert "+100.0 [+2.0, +100.0]" in text
    for name in finished.nodes:
        assert f"<title>{name}: " in text


def test_tables_by_groups_stand_below_the_table(bench: Bench, tmp_path: Path) -> None:
    made = [row(name, f"p{i}", name == "tuned", tags={"level": str(i)}) for name in ("base", "tuned") for i in range(2)]
    summary = summarise_rows(made, ["base", "tuned"], [], by=["level"])
    bench.given("eval", "t_evaluation", made, metrics={"table": summary_table(summary), "by": group_tables(summary)})
    text, folder = report(bench, {})
    assert Page(text).tags.count("table") == 2 and text.index("2 problems, ") < text.index("by level, ")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- figures: bench -->\n<!-- end -->\n")
    write_figures(folder, bench.store, readme)
    assert "**eval** · by level, %" in readme.read_text() and "| 0 | 1 | tuned | 100.0 [" in readme.read_text()


def test_the_page_needs_nothing_else(finished: Bench) -> None:
    text, _ = report(finished, {})
    page = Page(text)
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert re.findall(r"url\(|@import|https?://", text) == []


def test_text_of_problems_and_errors_is_escaped(finished: Bench) -> None:
    text, _ = report(finished, {"tuned": {"state": "failed", "error": f"{EVIL} & more"}})
    assert "script" not in Page(text).tags
    assert EVIL not in text
    assert "&lt;script&gt;" in text


def test_a_failed_run_shows_the_error_and_what_did_not_run(bench: Bench) -> None:
    bench.gold()
    bench.add("kept", "select", solutions=Ref("gold"), min_rows=99)
    bench.add("later", "select", solutions=Ref("kept"))
    with pytest.raises(UserError) as caught:
        bench.run("kept")
    text, _ = report(bench, {"kept": {"state": "failed", "error": str(caught.value)}, "later": {"state": "not run"}})
    assert "24 rows left, fewer than min_rows=99" in text
    assert "kept · failed" in text
    assert 'class="box not-run"' in text
    assert "not run: later" in text
    assert "svg" in Page(text).tags


def test_figures_go_between_the_marks_of_a_readme(finished: Bench, tmp_path: Path) -> None:
    _, folder = report(finished, {})
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- figures: bench -->\nold\n<!-- end -->\nafter\n<!-- figures: other -->\nkept\n<!-- end -->\n"
    )
    write_figures(folder, finished.store, readme)
    text = readme.read_text()
    assert text.startswith("before\n<!-- figures: bench -->\n**claim**")
    assert "| tuned - base | accuracy | > 0 | +100.0 [+2.0, +100.0] |" in text
    assert "old" not in text
    assert text.endswith("<!-- end -->\nafter\n<!-- figures: other -->\nkept\n<!-- end -->\n")
    write_figures(folder, finished.store, readme)
    assert readme.read_text() == text
    readme.write_text(text.replace("+100.0 [+2.0", "+99.0 [+2.0"))
    before = readme.read_bytes()
    with no_space_beyond(200), pytest.raises(UserError, match=r"README.md: cannot be written .*The file is as it was"):
        write_figures(folder, finished.store, readme)
    assert readme.read_bytes() == before


def test_a_mark_may_name_the_stages_that_it_shows(bench: Bench, tmp_path: Path) -> None:
    """Over all seeds; the last line counts the whole run."""
    for name in ("eval@0", "eval@1", "other"):
        made = [row("base", "p0", True)]
        table = summary_table(summarise_rows(made, ["base"], []))
        bench.given(name, "t_evaluation", made, metrics={"table": table})
    _, folder = report(bench, {})
    readme = tmp_path / "README.md"
    readme.write_text("<!-- figures: bench (eval) -->\n<!-- end -->\n")
    write_figures(folder, bench.store, readme)
    text = readme.read_text()
    assert [line.partition(" ")[0] for line in text.splitlines() if line.startswith("**")] == [
        "**eval@0**",
        "**eval@1**",
    ]
    assert text.startswith("<!-- figures: bench (eval) -->\n") and ": 3 stages" in text
    readme.write_text("<!-- figures: bench (eval, othr) -->\n<!-- end -->\n")
    with pytest.raises(UserError, match="the run has no stage 'othr', which `figures` names. Did you mean 'other'?"):
        write_figures(folder, bench.store, readme)


def test_a_readme_without_marks_is_refused(finished: Bench, tmp_path: Path) -> None:
    _, folder = report(finished, {})
    readme = tmp_path / "README.md"
    with pytest.raises(UserError, match="the file does not exist, so no figures"):
        write_figures(folder, finished.store, readme)
    readme.write_text("nothing")
    with pytest.raises(UserError, match="no block for 'bench'. Put `<!-- figures: bench -->` and `<!-- end -->`"):
        write_figures(folder, finished.store, readme)


def test_charts_leave_out_what_is_not_finite_and_survive_one_value() -> None:
    svg = chart_svg([(0, 1.0), (1, float("nan")), (2, 3.0)], "loss")
    assert len(re.findall(r'points="([^"]*)"', svg)[0].split()) == 2
    assert "nan" not in svg
    assert chart_svg([(0, float("inf"))], "loss") == ""
    assert "nan" not in chart_svg([(5, 2.0), (5, 2.0)], "flat")


def test_the_graph_draws_every_box_and_edge_and_escapes() -> None:
    boxes = {
        "a": Box("a", "sft", "ran", "x < y", ()),
        "b": Box("b", "sft", "not run", "", ("a",)),
        "c": Box("c" * 30, "sft", "ran", "", ("a", "b")),
    }
    svg = graph_svg(boxes)
    assert svg.count("<rect") == 3
    assert svg.count('class="edge"') == 3
    assert "x &lt; y" in svg
    assert "c" * 23 + "…" in svg


def test_an_edge_that_skips_a_column_passes_beside_its_boxes() -> None:
    boxes = {
        "a": Box("a", "sft", "ran", "", ()),
        "b": Box("b", "sft", "ran", "", ("a",)),
        "c": Box("c", "sft", "ran", "", ("a", "b")),
    }
    svg = graph_svg(boxes)
    left, top = (int(re.findall(rf' {side}="(\d+)"', svg.partition("<title>b: ")[2])[0]) for side in ("x", "y"))
    [lane] = re.findall(r" (\d+),(\d+) H(\d+)", svg)
    start, y, end = map(int, lane)
    assert (start, end) == (left, left + LEAST_W)
    assert not top <= y <= top + BOX_H


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (250, 490, [250, 300, 350, 400, 450]),
        (0.08, 0.56, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 9, [0, 2, 4, 6, 8]),
    ],
)
def test_ticks_by_hand(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 5
    assert low - 1e-6 * width <= found[0] < found[-1] <= low + width * (1 + 1e-6)


def test_a_chart_names_its_axis() -> None:
    svg = chart_svg([(0, 1.0), (9, 3.0)], "loss & more")
    assert ">step</text>" in svg
    assert 'aria-label="loss &amp; more over steps"' in svg


def test_figures_worth_a_line() -> None:
    metrics = {"cut_share": 0, "other": 1.0, "pass_rate": 0.46312, "verdict": "supported", "trained_tokens": 48123.0}
    shown = ["pass_rate 0.463", "cut_share 0", "trained_tokens 48123", "verdict supported"]
    assert figures({"metrics": metrics}) == shown
    assert figures({}) == []


def test_the_claim_stands_first_and_each_seed_on_a_line(bench: Bench) -> None:
    rows = [row(name, f"p{i}", name == "tuned") for name in ("base", "tuned") for i in range(4)]
    tables = [
        bench.given(f"eval{i}", "t_evaluation", rows, metrics={"table": {"columns": ["policy"], "rows": [["base"]]}})
        for i in range(5)
    ]
    bench.make("claim", "claim", table=tables, form={"uses": "difference", "better": "tuned", "than": "base"})
    text, _ = report(bench, {})
    assert text.index("<h3>claim ") < text.index("<h3>eval0 ") < text.index("<h3>eval1 ")
    assert f"<td>{';<br>'.join(['+100.0 [+2.0, +100.0]'] * 5)}</td>" in text
    assert "verdict supported · key" in text


def test_work_that_stages_share_is_counted_once() -> None:
    views = [
        StageView(name=name, uses="sample", key=key, seed=0, state="ran", manifest=made)
        for name, key, made in [
            ("sample", "k1", {"wall_s": 10.0, "counts": {"tokens.generated": 700}}),
            ("blind_sample", "k1", {"wall_s": 10.0, "counts": {"tokens.generated": 700}}),
            ("other", "k2", {"wall_s": 7.0, "counts": {"tokens.generated": 30}}),
            ("failed", "k3", {}),
        ]
    ]
    state = {"started": "2026-01-02T03:04:05"}
    assert "Run of 2026-01-02: 4 stages (3 artifacts), 17 s of work." in run_figures(views, state)
    assert "Run of 2026-01-02: 2 stages, 7 s of work." in run_figures(views[2:], state)
    facts = totals(views)
    assert (facts["graph"], facts["work"], facts["tokens generated"]) == ("4 stages (3 artifacts)", "17 s", "730")


def test_markdown_tables_escape_bars() -> None:
    assert markdown_table({"columns": ["a", "b"], "rows": [["x|y", 1]]}) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"
