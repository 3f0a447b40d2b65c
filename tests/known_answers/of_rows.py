"""Stages that make rows of rows, without a model or with its tokenizer only."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_gen.records.solution import Solution
from data_gen.transforms import TRANSFORMS
from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from tests.data_gen.transforms import test_forms, test_transforms
from tests.known_answers.cases import Settings, case
from tests.known_answers.kitchen import FEW, bench, counts, fresh, make, metrics, rows
from tests.reasoning_train.bench import problem, solution
from tests.reasoning_train.evaluation import rows as tables
from tests.reasoning_train.stages import (
    test_labelling_stages,
    test_recode,
    test_recode_solutions,
    test_revision_chains,
    test_select,
)


@case("stage", "problems")
def problems() -> Any:
    """A split of a generated task."""
    made = make("problems", task=FEW, split="train")
    return [rows(made, "id", "question", "gold"), counts(made)]


@case("stage", "gold")
def gold() -> Any:
    """Worked solutions, and problems that have none."""
    given = [problem("p", gold="20", gold_steps=("12 + 8 = 20",)), problem("q"), problem("r", gold=None)]
    made = make("gold", problems=bench().problems(fresh("problems"), given))
    return [rows(made, "problem_id", "completion", "verdict"), counts(made)]


@case("stage", "decontaminate")
def decontaminate() -> Any:
    """A question that shares words with a test question, and one that does not."""
    shared = "Ana has twelve red coins and Ben has five more blue coins than Ana has now"
    train = [problem("a", f"{shared} today?"), problem("b", "How many coins has Cy if he had two and lost one?")]
    test = [problem("t", f"Tell: {shared} in total?", split="test")]
    given = bench().problems(fresh("train"), train), bench().problems(fresh("test"), test)
    made = make("decontaminate", problems=given[0], against=[given[1]])
    return [rows(made, "id"), counts(made)]


@case("stage", "select")
def select() -> Any:
    """Right, whole, distinct solutions; and any that can be verified."""
    given = bench().solutions(fresh("samples"), test_select.SAMPLES, pass_rate=0.5)
    settings: list[dict[str, Any]] = [
        {},
        {"keep": "wrong"},
        {"keep": "any", "dedupe": "none"},
        {"steps": "right", "max_per_problem": 1},
    ]
    found = [make("select", solutions=given, **more) for more in settings]
    return Settings(_selected(made) for made in [*found, *_of_a_size()])


def _of_a_size() -> list[Artifact]:
    """Nine rows of three difficulties, 1, 3 and 5 of each: levelled, as many as four, and of as many tokens as four."""
    sizes = {1.0: 1, 2.0: 3, 3.0: 5}
    pool = [
        replace(test_transforms.worked(1 + i, sample=i), problem_id=f"p{level:g}", difficulty=level)
        for level, size in sizes.items()
        for i in range(size)
    ]
    given = bench().solutions(fresh("pool"), pool)
    four = bench().solutions(fresh("four"), [test_transforms.worked(3, sample=i) for i in range(4)])
    settings: list[dict[str, Any]] = [{"balance": True}, {"as_many_as": four}, {"as_many_tokens_as": four}]
    return [make("select", solutions=given, **more) for more in settings]


def _selected(made: Artifact) -> list[Any]:
    return [rows(made, "problem_id", "sample", "verdict"), counts(made)]


def given_trees() -> dict[str, Ref]:
    """Trees by hand over a policy that knows their words."""
    if "letters" not in bench().nodes:
        bench().model("letters", vocabulary=test_labelling_stages.WORDS)
        bench().trees("planted", test_labelling_stages.forest(2), trees={"solved": 1.0, "informative_siblings": 0.5})
    return {"trees": Ref("planted"), "policy": Ref("letters")}


@case("stage", "recode_solutions")
def recode_solutions() -> Any:
    """Rows of another tokenizer, one of which the model's vocabulary does not have."""
    given = bench().solutions(fresh("taught"), test_recode_solutions.rows(3, test_recode_solutions.LOST))
    made = make("recode_solutions", solutions=given, model=Ref("half"), max_dropped=0.5)
    return [rows(made, "problem_id", "prompt", "prompt_ids", "completion", "segments"), counts(made)]


@case("stage", "sft_paths")
def sft_paths() -> Any:
    """Paths of trees as solutions."""
    made = make("sft_paths", paths={"correct": 2, "wrong": 1}, **given_trees())
    return [rows(made, "problem_id", "completion", "verdict", "weight"), counts(made)]


@case("stage", "step_pairs")
def step_pairs() -> Any:
    """Pairs of siblings."""
    made = make("step_pairs", pairs="best_sibling", max_per_tree=1, **given_trees())
    return [rows(made, "problem_id", "tree", "chosen", "rejected"), counts(made), metrics(made, "mean_margin")]


@case("stage", "value_targets")
def value_targets() -> Any:
    """Q along paths."""
    made = make("value_targets", targets={"uses": "q", "scale": "p"}, **given_trees())
    return [rows(made, "problem_id", "completions", "values", "weights"), counts(made)]


def recoded(uses: str, **labels: Any) -> Any:
    """Labels in the tokens of a model with a tokenizer of its own."""
    if "large" not in bench().nodes:
        test_recode.large(bench(), "plain")
        test_recode.asked(bench())
    return make(uses, policy=Ref("model"), model=Ref("large"), problems=Ref("asked"), **labels)


@case("stage", "recode_targets")
def recode_targets() -> Any:
    """Values at the ends of the same steps."""
    labels = [row.to_row() for row in test_recode.targets(bench(), 4)]
    made = recoded("recode_targets", targets=bench().given(fresh("labels"), "t_targets", labels))
    return [rows(made, "prompt", "completions", "at", "values"), counts(made)]


@case("stage", "recode_pairs")
def recode_pairs() -> Any:
    """Both sides of a pair."""
    labels = [row.to_row() for row in test_recode.pairs(bench(), 4)]
    made = recoded("recode_pairs", pairs=bench().given(fresh("labels"), "t_pairs", labels))
    return [rows(made, "prompt", "chosen", "rejected"), counts(made)]


def given_tables() -> list[Ref]:
    """Three evaluations, of which the second and the third are the best."""
    right = [[False, False, True, False], [True, True, True, False], [True, True, False, True]]
    return [bench().given(fresh("dev"), "t_evaluation", tables.rows("tuned", outcomes)) for outcomes in right]


@case("stage", "round_stop")
def round_stop() -> Any:
    """The third round does not gain enough; where lower is better, the second does not gain and the first has nothing
    before it."""
    tables_ = given_tables()
    settings: list[dict[str, Any]] = [
        {"tables": tables_, "min_gain": 0.1},
        {"tables": tables_[:2]},
        {"tables": tables_[:2], "lower": True},
        {"tables": tables_[:1], "first": 0},
    ]
    made = [make("round_stop", metric="accuracy", **more) for more in settings]
    return Settings(json.loads((stop.path / "decision" / "decision.json").read_text()) for stop in made)


@case("stage", "choose")
def choose() -> Any:
    """The first of the best; the least."""
    candidates = {"a": Ref("model"), "b": Ref("half"), "c": Ref("model")}
    given = dict(zip(candidates, given_tables(), strict=True))
    made = [make("choose", policies=candidates, table=given, lower=lower) for lower in (False, True)]
    return Settings(metrics(one, "chosen", "values") for one in made)


@case("stage", "concat")
def concat() -> Any:
    """Two sources of solutions with equal shares, one of which repeats a number of the other; 3 to 1; at most one row
    of the first."""
    first = [solution("a", "one", sample=0), solution("a", "two", sample=1), solution("b", "three")]
    second = [solution("a", "four", sample=0), solution("c", "five")]
    given = [bench().solutions(fresh("source"), source) for source in (first, second)]
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"share": 1.0}, {"share": 1.0}),
        ({"share": 3.0}, {"share": 1.0}),
        ({"limit": 1}, {}),
    ]
    found = [make("concat", sources=[{"rows": given[i], **more[i]} for i in (0, 1)]) for more in settings]
    return Settings([rows(made, "problem_id", "sample", "completion"), counts(made)] for made in found)


@case("stage", "part")
def part() -> Any:
    """Eight problems in three parts."""
    given = bench().problems(fresh("problems"), [problem(f"p{i}") for i in range(8)])
    return Settings(rows(make("part", problems=given, part=k, of=3), "id") for k in (1, 2, 3))


@case("stage", "reword")
def reword() -> Any:
    """Two problems in other words."""
    given = bench().problems(fresh("problems"), [problem("p"), problem("q", "How many?")])
    made = make("reword", problems=given, template="Be brief. {question} {x}")
    return rows(made, "id", "question", "gold")


@case("stage", "pick_problems")
def pick_problems() -> Any:
    """By solve rate, by difficulty and a tag, and by the outcome in a table with an answer that is neither."""
    asked = [problem(f"p{i}", difficulty=float(i), tags={"odd": str(i % 2)}) for i in range(4)]
    given = bench().problems(fresh("problems"), asked)
    verdicts = {"p0": "++++", "p1": "+---", "p2": "++--", "p3": "----"}
    pool = [
        solution(p, str(i), sample=i, verdict="correct" if mark == "+" else "wrong", group=p)
        for p, marks in verdicts.items()
        for i, mark in enumerate(marks)
    ]
    samples = bench().solutions(fresh("samples"), pool)
    outcomes = tables.rows("base", [False] * 4) + tables.rows("tuned", [True, False, None, False])
    table = bench().given(fresh("table"), "t_evaluation", outcomes)
    settings: list[dict[str, Any]] = [
        {"solutions": samples, "solved": [0.25, 0.5]},
        {"difficulty": [1, 3], "tags": {"odd": "1"}},
        {"table": table, "row": "tuned", "outcome": "right"},
        {"table": table, "row": "tuned", "outcome": "wrong"},
    ]
    found = [make("pick_problems", problems=given, **more) for more in settings]
    return Settings([rows(made, "id"), counts(made)] for made in found)


@case("stage", "revision_chains")
def revision_chains() -> Settings:
    """A right solution and four wrong ones of each of three problems: behind up to two of them, and behind none."""
    attempts = [replace(row, problem_id=f"p{k}") for k in range(3) for row in test_revision_chains.GIVEN]
    given = bench().solutions(fresh("attempts"), attempts)
    template = "{asked}\n{attempts}\n"
    settings: list[dict[str, Any]] = [{"keep": 2}, {"keep": 2, "between": "\n"}, {"keep": 0}]
    programs = [{"uses": "revise", "template": template, **own} for own in settings]
    found = [make("revision_chains", solutions=given, model=Ref("model"), program=one) for one in programs]
    return Settings([rows(one, "sample", "prompt", "completion", "turn"), counts(one)] for one in found)


@case("stage", "transform")
def transform() -> Any:
    """Two copies with steps dropped at random, weights by kind."""
    given = {
        "problems": bench().problems(fresh("problems"), [problem("p")]),
        "solutions": bench().solutions(fresh("worked"), [test_transforms.worked(6)]),
    }
    apply = [{"uses": "drop", "levels": [{"share": 0.5}]}, {"uses": "mask", "weights": {"answer": 2}}]
    made = make("transform", apply=apply, copies=2, **given)
    return [rows(made, "problem_id", "sample", "completion", "segments", "verdict", "steps_ok"), counts(made)]


@case("transform", *TRANSFORMS.names())
def transforms(name: str) -> Any:
    """Two solutions in every setting of the transform: words and equations, and counted steps with ids."""
    given = [test_forms.ROW, replace(test_transforms.worked(6), sample=1, tags={})]
    found = [test_transforms.made({"uses": name, **more}, given) for more in test_transforms.CONFIGS.get(name, [{}])]
    return Settings([_shown(row) for row in made] for made in found)


def _shown(row: Solution) -> list[Any]:
    weights = [[str(segment.kind), segment.text, segment.weight] for segment in row.segments]
    return [row.sample, row.question, weights, len(row.token_ids), row.steps_ok, row.weight, row.tags]


@case("stage", "model")
def model() -> Any:
    """Fresh weights and the words of a task."""
    from safetensors.torch import load_file

    from tests.reasoning_train.bench import MODEL

    made = make("model", **MODEL, vocabulary=["a", "b", "1"])
    weights = load_file(made.path / "model" / "model.safetensors")
    spread = {name: [list(value.shape), value.float().std().item()] for name, value in sorted(weights.items())}
    return [spread, metrics(made, "parameters")]


@case("stage", "verifier")
def verifier() -> Any:
    """A classifier of another program: what its head is read as."""
    from data_gen.verifiers.head_files import read_head_config
    from tests.data_gen.verifiers.foreign_models import classifier

    with tempfile.TemporaryDirectory() as folder:
        classifier(Path(folder) / "prm", labels=("wrong", "right"))
        given = {"kind": "classifier", "head": {"positive": "right", "read_at": "step_end"}}
        made = make("verifier", path=str(Path(folder) / "prm"), **given)
        return read_head_config(made.path / "verifier").model_dump(mode="json")
