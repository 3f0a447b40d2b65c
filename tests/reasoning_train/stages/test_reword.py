"""`reword`: only the question changes, and what `reprompt` trained is what is asked."""

from __future__ import annotations

from reasoning_train.api.refs import Ref
from tests.reasoning_train.bench import Bench, rows_of


def test_problems_are_asked_as_the_solutions_were_trained(bench: Bench) -> None:
    bench.gold()
    template = "{question} Answer:"
    asked = bench.make("asked", "reword", problems=Ref("gold.problems"), template=template)
    before, after = rows_of(bench.store.open(bench.nodes["gold.problems"])), rows_of(asked)
    assert [{**row, "question": template.replace("{question}", row["question"])} for row in before] == after
    given = {"problems": Ref("gold.problems"), "solutions": Ref("gold")}
    trained = bench.make("rows", "transform", apply=[{"uses": "reprompt", "templates": [template]}], **given)
    assert [row["question"] for row in rows_of(trained)] == [row["question"] for row in after]
    assert asked.manifest["metrics"] == bench.store.open(bench.nodes["gold.problems"]).manifest["metrics"]
