"""Stages that sample from the micro model, search with it, and measure what came out."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from reasoning_train.api.refs import Ref
from reasoning_train.evaluation.difficulty import DIFFICULTIES, FewSamples
from reasoning_train.store.store import Artifact
from tests.known_answers.cases import Settings, case
from tests.known_answers.kitchen import bench, counts, fresh, make, metrics, rows
from tests.reasoning_train.bench import problem
from tests.reasoning_train.evaluation import rows as tables
from tests.reasoning_train.stages import test_adaptive, test_claim, test_evaluate_trees
from tests.reasoning_train.stages.test_claim import TUNED

DRAWN: dict[str, Any] = {"problems": Ref("gold.problems"), "max_tokens": 24}


@case("stage", "sample")
def sample() -> Any:
    """Graded samples of a policy that solves some of its problems."""
    made = make("sample", policy=Ref("half"), n=4, **DRAWN)
    return [rows(made, "problem_id", "completion", "answer", "verdict", "finish"), metrics(made, "pass_rate")]


@case("stage", "search")
def search() -> Any:
    """A tree over one problem, graded at its ends."""
    how = {"uses": "best_of_n", "n": 4, "max_length": 24}
    settings = {"search": how, "scorer": "constant", "limit": 2}
    made = make("search", policy=Ref("half"), problems=Ref("gold.problems"), **settings)
    return [rows(made, "problem_id", "text", "terminal", "outcome", "draws", "weight"), counts(made)]


@case("stage", "evaluate")
def evaluate() -> Any:
    """Two policies, greedy, pass@k and maj@k."""
    policies = {"half": Ref("half"), "model": Ref("model")}
    made = make("evaluate", policies=policies, samples=5, ks=[1, 2, 5], **DRAWN)
    return [rows(made, "policy", "problem_id", "answer", "accuracy", "sampled_correct"), metrics(made, "summary")]


@case("stage", "evaluate_trees")
def evaluate_trees() -> Any:
    """Four paths of which the best score is right and the most are wrong, under every rule, whole and in twos."""
    problems = bench().problems(fresh("questions"), [problem("p0")])
    trees = bench().trees(fresh("trees"), [test_evaluate_trees.POOL])
    rules = {"best": "argmax", "most": "majority", "sum": "weighted", "drawn": "draw"}
    strategies = {name: {"trees": trees, "vote": rule} for name, rule in rules.items()}
    strategies |= {f"{name}2": {**strategies[name], "n": 2} for name in ("best", "most", "sum")}
    made = make("evaluate_trees", problems=problems, strategies=strategies)
    until = {"until": {"trees": trees, "vote": {"uses": "first_accepted", "bar": 0.4}, "n": [1, 3]}}
    limited = make("evaluate_trees", problems=problems, strategies=until, limits={"price": [0.5], "n": [9]})
    predicted = [rows(limited, "policy", "accuracy", "coverage", "tokens"), metrics(limited, "limits")]
    return [rows(made, "policy", "accuracy", "answer", "tokens"), metrics(made, "summary"), *predicted]


@case("stage", "adaptive")
def adaptive() -> Any:
    """Strategies for easy and hard problems, and one that is right on one fold alone: without a budget, under one for
    each strategy, and under one for all."""
    problems = bench().problems(fresh("questions"), [problem(name) for name in test_adaptive.NAMES])
    few = test_adaptive.pool(bench(), name=fresh("few"))
    lucky = [tables.row("lucky", name, fold == 0, tokens=5) for name, fold in test_adaptive.FOLD.items()]
    table = bench().given(fresh("table"), "t_evaluation", [*test_adaptive.strategies(), *lucky])
    given = {"problems": problems, "table": table, "estimate": {"pool": few, "n": 2}, "bins": 2}
    budgets = [{}, {"budgets": [95]}, {"budgets": [95], "spend": "across"}]
    made = [make("adaptive", **given, **more) for more in budgets]
    return Settings([rows(one, "policy", "strategy", "accuracy", "tokens"), metrics(one, "chosen")] for one in made)


@case("estimate of difficulty", "agreement", "likelihood", "score")
def difficulty(name: str) -> Any:
    """Two that agree, one that does not, and one without an answer."""
    options = [{}, *({"aggregate": one} for one in ("min", "mean", "prod"))] if name == "score" else [{}]
    few = FewSamples(
        problem_id="p0",
        classes=(0, 0, 1, -1),
        values=((0.8, 0.5), (0.9, 0.3), (0.2, 0.7), (None,)),
        logprobs=(-0.1, -0.2, -0.5, -1.0),
    )
    made = [DIFFICULTIES.get(name).model_validate({"uses": name, **more}) for more in options]
    return Settings(one.ease(few) for one in made)


@case("stage", "claim")
def claim() -> Any:
    """Seeds that gain, that lose, and of which six of eight lose (the sign rule); `lower`; costs 2 % higher."""
    gains = {"more": [16, 17, 18, 19, 20], "less": [-3, 2, -1, 0, -8], "seldom": [-20, -21] * 3 + [1, 2]}
    made = {gain: _claimed(gain) for each in gains.values() for gain in each}
    given = {name: [made[gain] for gain in each] for name, each in gains.items()}
    settings: list[dict[str, Any]] = [
        *({"table": refs} for refs in given.values()),
        {"table": given["more"], "lower": ["accuracy"]},
        {"table": given["more"], "no_more": "tokens"},
        {"table": given["more"], "no_more": "tokens", "tolerance": 0.05},
        {"table": given["more"][:3], "seeds_needed": 3},
    ]
    return Settings(_verdict(make("claim", form=TUNED, **more)) for more in settings)


def _claimed(gain: int) -> Ref:
    """A table of `tuned`, right `gain` times more often than `base` at 2 % more tokens."""
    tuned = [{**row, "tokens": 102} for row in tables.rows("tuned", test_claim.nearly(test_claim.HALF, gain))]
    base = [{**row, "tokens": 100} for row in tables.rows("base", test_claim.HALF)]
    return bench().given(fresh("table"), "t_evaluation", base + tuned)


def _verdict(made: Artifact) -> list[Any]:
    found = json.loads((made.path / "verdict" / "verdict.json").read_text())
    return [found["verdict"], {one["name"]: [one["verdict"], one["estimate"]] for one in found["comparisons"]}]


@case("stage", "report")
def report() -> Any:
    """What stands on a page about a table and a claim over it."""
    rows_ = [tables.row(name, f"p{i}", name == "tuned") for name in ("base", "tuned") for i in range(4)]
    given = bench().given(fresh("eval"), "t_evaluation", rows_)
    made = make("claim", table=[given], form=TUNED)
    page = make("report", of=[given, Ref(made.manifest["node"])], title="Known")
    shown = _Shown()
    shown.feed((page.path / "page" / "report.html").read_text(encoding="utf-8"))
    return {"edges": shown.edges, "texts": shown.texts}


class _Shown(HTMLParser):
    """The headings, cells and boxes of a page in order; the numbers of names made by `fresh` are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.edges = 0
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.edges += dict(attrs).get("class") == "edge"
        if tag in ("h1", "h2", "h3", "th", "td", "title"):
            self._inside = tag
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += re.sub(r"_\d+", "", data)
