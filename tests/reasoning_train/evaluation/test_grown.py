"""Trees and histograms of labels on the page: which are shown, what is left out, and that hostile text stays text."""

from __future__ import annotations

import re
from typing import Any

from reasoning_train.evaluation.report import artifact_page, write_page
from reasoning_train.evaluation.report.bars_svg import bars_svg
from reasoning_train.evaluation.report.grown import tree_views
from reasoning_train.evaluation.report.tree_svg import LARGEST, tree_svg
from reasoning_train.store.store import Artifact
from tests.data_gen.labelling.plant import answer, cut, plant, rollout, step
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.evaluation.test_report import EVIL, Page

KNOWN: dict[str, Any] = {"visits": 8, "total": 5.0, "value": 0.25, "mc_correct": 3.0, "mc_total": 4.0, "draws": 2}
MIXED = (
    step("a", answer(1, weight=1.0, visits=1, total=1.0), answer(0), **KNOWN),
    step("b", cut("c d"), value=0.5, steps_ok=False),
)


def drawn(svg: str) -> list[str]:
    """Texts of the steps."""
    return re.findall(r'class="step"[^>]*>([^<]*)', svg)


def notes(svg: str) -> dict[str, str]:
    return dict(zip(drawn(svg), re.findall(r'class="note"[^>]*>([^<]*)', svg), strict=True))


def test_nodes_say_what_is_known_of_them() -> None:
    svg = tree_svg(plant(*MIXED))
    assert notes(svg) == {
        "go": "",
        "a": "N 8 · Q 0.62 · mc 3/4 · ×2",
        "Answer: 1": "N 1 · Q 1.00",
        "Answer: 0": "",
        "b": "V 0.50",
        "c d": "cut",
    }
    assert [
        re.search(f'<g class="node (\\w+)"><title>{text}', svg)[1]
        for text in ("a", "Answer: 1", "Answer: 0", "b", "c d")
    ] == [  # type: ignore[index]
        "open",
        "right",
        "wrong",
        "error",
        "wrong",
    ]
    assert (svg.count('class="branch"'), svg.count('class="branch answer"')) == (3, 2)


def test_rollouts_stand_in_counts_unless_there_is_nothing_else() -> None:
    assert drawn(tree_svg(plant(step("a"), rollout("bc", 1)))) == ["go", "a"]
    assert drawn(tree_svg(plant(rollout("bc", 1), rollout("d", 0)))) == ["go", "b c Answer: 1", "d Answer: 0"]


def test_a_large_tree_shows_the_answers_and_what_was_visited_most() -> None:
    bushy = [step("a b c d e f", *(step("b", visits=1) for _ in range(30)), visits=90 - i) for i in range(30)]
    svg = tree_svg(plant(*bushy, step("h", answer(1), visits=1)))
    texts = drawn(svg)
    assert len(texts) == LARGEST
    assert "Answer: 1" in texts and "h" in texts
    assert texts.count("a b c d e f") == LARGEST - 3  # 90 visits down to 66; below them nobody was more than once
    assert re.search(r"\+5 more", svg) and re.search(r"\+30 more", svg)


def test_no_two_boxes_overlap() -> None:
    svg = tree_svg(plant(*MIXED, step("e", *(answer(0) for _ in range(6)))))
    corners = [(float(x), float(y)) for x, y in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', svg)]
    assert len(corners) > 8
    assert all(abs(a[0] - b[0]) >= 196 or abs(a[1] - b[1]) >= 42 for i, a in enumerate(corners) for b in corners[:i])


def test_the_most_instructive_tree_and_an_unsolved_one_are_shown(bench: Bench) -> None:
    # right and wrong part at a; in MIXED at the root, too
    once = (step("a", answer(1), answer(0)), step("b", answer(1)))
    shapes = {
        "right": (answer(1),),
        "wrong": (answer(0),),
        "once": once,
        "mixed": MIXED,
        "again": MIXED,
        "more": (answer(0),),
    }
    trees = [plant(*specs, problem=name) for name, specs in shapes.items()]
    bench.trees("trees", trees)
    artifact = bench.run("trees")
    views = tree_views(artifact.path, artifact.manifest)
    assert [view.title for view in views] == ["mixed, tree 0", "wrong, tree 0"]
    assert "6 nodes · 1 of 3 ends right · values on scale p" in views[0].about
    assert views[0].question == "go"


def test_trees_that_cannot_be_read_do_not_spoil_the_page(bench: Bench) -> None:
    bench.trees("trees", [plant(*MIXED)])
    artifact = bench.run("trees")
    part = artifact.path / "trees" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    assert tree_views(artifact.path, artifact.manifest) == ()


def test_the_page_shows_both_and_hostile_text_stays_text(bench: Bench) -> None:
    evil = plant((EVIL, (answer(1), answer(0)), {"token_ids": (5,)}), problem=EVIL)
    bench.trees("trees", [evil], labels={"title": EVIL, "bars": [[EVIL, 3], ["b", 0]]})
    artifact: Artifact = bench.run("trees")
    path = bench.store.root / "page.html"
    write_page(artifact_page({"trees": artifact}, "t", "a"), path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "<h2>Trees</h2>" in text and "<h2>Labels</h2>" in text
    assert "script" not in page.tags and page.addresses == [] and EVIL not in text
    assert page.tags.count("svg") == 3  # the graph, the tree, the histogram


def test_bars_are_as_long_as_their_counts() -> None:
    svg = bars_svg([("x", 50), ("y", 100), ("z", 0)], "t")
    widths = [float(width) for width in re.findall(r'class="bar"[^>]* width="([\d.]+)"', svg)]
    assert widths[1] == 2 * widths[0] > 0 == widths[2]
    assert bars_svg([], "t") == ""
