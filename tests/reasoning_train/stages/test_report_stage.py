"""`report` as a stage: a page about the artifacts that it is given, over all seeds and whatever their tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import Bench, solution
from tests.reasoning_train.evaluation.rows import row
from tests.reasoning_train.evaluation.test_report import EVIL, Page
from tests.reasoning_train.recipe.kitchen import load


def page(artifact: Artifact) -> str:
    """The published file."""
    assert [path.name for path in (artifact.path / "page").iterdir()] == ["report.html"]
    return (artifact.path / "page" / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def finished(bench: Bench, one_thread: None) -> Bench:
    """Solutions, a model trained on others, a table and the claim over it."""
    bench.model()
    bench.gold()
    bench.make("tuned", "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, batch_size=4, max_steps=30)
    bench.solutions("sample", [solution("p0", "12 + 8 = 20\n")], pass_rate=0.25)
    bench.given(
        "eval", "t_evaluation", [row(name, f"p{i}", name == "tuned") for name in ("base", "tuned") for i in range(4)]
    )
    bench.make("claim", "claim", table=[Ref("eval")], form={"uses": "difference", "better": "tuned", "than": "base"})
    return bench


def test_tables_curves_counts_and_edges(finished: Bench) -> None:
    of = [Ref("claim"), Ref("sample"), Ref("eval"), Ref("tuned")]
    artifact = finished.make("report", "report", of=of, title=EVIL, about="what it shows")
    text = page(artifact)
    html = Page(text)
    assert html.addresses == [] and "script" not in html.tags
    assert html.tags.count("table") == 1 and "+100.0 [+2.0, +100.0]" in text
    assert text.count('class="curve"') >= 2  # loss and gradient norm of `tuned`
    assert "&#34;pass_rate&#34;: 0.25" in text
    assert text.count('class="edge"') == 1  # claim was made from eval; the inputs of the others are not on the page
    assert text.index("<title>eval: ") < text.index("<title>claim: ")
    assert artifact.manifest["counts"] == {"out": 4}


def test_sample_solutions_come_from_an_evaluation(finished: Bench) -> None:
    evaluation = {
        "policies": {"base": Ref("model"), "tuned": Ref("tuned")},
        "problems": Ref("gold.problems"),
        "limit": 2,
        "max_tokens": 4,
    }
    finished.make("eval", "evaluate", **evaluation)
    text = page(finished.make("report", "report", of=[Ref("eval")]))
    assert "Sample solutions" in text
    assert text.count('<span class="tag wrong">wrong</span>') == 4


def test_the_page_follows_its_inputs_alone(finished: Bench) -> None:
    """Nothing of the moment or the machine that writes it: the same artifacts give the same bytes."""
    first, again = (page(finished.make(name, "report", of=[Ref("eval"), Ref("claim")])) for name in ("a", "b"))
    assert first == again


def test_one_page_over_all_seeds_and_over_tasks_with_other_formats(tmp_path: Path) -> None:
    nodes = load(
        tmp_path,
        """
        name: page
        seeds: [0, 1]
        model: {init: {}, tokenizer: task}
        task: {uses: k_task}
        tasks: {other: {uses: k_task, format: {answer_mark: "So: "}}}
        stages:
          base: {uses: k_train, policy: "${model}", data: "${task.train.gold}"}
          report: {uses: report, of: ["${stages.base}", "${tasks.other.test}"]}
        """,
    ).nodes
    assert nodes["report"].config["of"] == [Ref("base@0"), Ref("base@1"), Ref("tasks.other.test")]
