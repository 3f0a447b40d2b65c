"""Prompt programs through `sample` and `evaluate`: over servers, over shards, continued, and as training rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from data_gen.format import Format, StepCodec
from data_gen.labelling.recode_solutions import recode_solution
from data_gen.programs.self_refine import SelfRefine
from data_gen.records.solution import Solution
from reasoning_train.api.refs import Ref
from reasoning_train.models.policy_text import load_policy_text
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.store.store import Store
from reasoning_train.store.table_row import TableRow
from reasoning_train.trainers.data.solutions import encode_solutions
from tests.data_gen.engines.openai.fake_server import FakeServer, Reply, Seen, serving
from tests.data_gen.programs.talk import Talk, run
from tests.reasoning_train.bench import Bench, problem, rows_of
from tests.reasoning_train.recipe.kitchen import load
from tests.reasoning_train.stages.test_sample_continues import made

WORDS = ["A", "Check", "No", "error", "Wrong", "Mend"]
TINY = {
    "uses": "self_refine",
    "feedback": "{asked}\n{solution}\nCheck",
    "refine": "{question}\n{solution}\n{feedback}\nMend",
}
QUESTIONS = [problem(f"p{k}", f"Ana has {k} coins. How many has Ana?", gold=str(k)) for k in range(4)]


def policy(prompt: str) -> str:
    """Drafts too much for Ana, and mends it when told."""
    right = int(prompt.split()[2])
    return f"Answer: {right}" if "Mend" in prompt else f"Answer: {right + 1}"


def judge(prompt: str) -> str:
    """Knows who has how many."""
    return "No error" if f"Answer: {prompt.split()[2]}\n" in prompt else "Wrong"


def server_of(answering: Any) -> Any:
    def script(k: int, seen: Seen) -> Reply:
        said = answering(seen.body["prompt"])
        choice = {"text": said, "index": 0, "finish_reason": "stop"}
        return Reply(
            body={"choices": [choice] * seen.body.get("n", 1), "usage": {"prompt_tokens": 11, "completion_tokens": 4}}
        )

    return serving(script)


def engine_of(server: FakeServer) -> dict[str, Any]:
    return {"uses": "openai", "base_url": server.url, "model": "m"}


@pytest.fixture
def asking(bench: Bench) -> Bench:
    """A policy and a judge over one vocabulary, and four questions."""
    from data_gen.tasks.chain import Chain

    vocabulary = [*dict.fromkeys([*Chain(uses="chain").vocabulary(), *WORDS])]
    bench.model(vocabulary=vocabulary)
    bench.model("judge", vocabulary=vocabulary)
    bench.problems("questions", QUESTIONS)
    return bench


def test_two_servers_play_two_roles_and_the_rows_are_those_of_scripted_models(asking: Bench) -> None:
    program = SelfRefine.model_validate({**TINY, "critic": "judge"})
    with server_of(policy) as one, server_of(judge) as other:
        artifact = asking.make(
            "s",
            "sample",
            policy=Ref("model"),
            problems=Ref("questions"),
            n=1,
            max_tokens=20,
            program=program.model_dump(),
            models={"judge": {"model": Ref("judge"), "engine": engine_of(other)}},
            calls="keep",
            engine=engine_of(one),
        )
        asked = len(one.seen), len(other.seen)
    rows = [Solution.from_row(row) for row in rows_of(artifact)]
    assert asked == (8, 8)
    assert [(row.sample, row.turn, row.chosen, row.answer, row.verdict) for row in rows[:4]] == [
        (0, 0, False, "1", "wrong"),
        (1, 1, True, "0", "correct"),
        (0, 0, False, "2", "wrong"),
        (1, 1, True, "1", "correct"),
    ]
    assert [(call.role, call.replies) for call in rows[1].conversation] == [
        ("judge", ("Wrong",)),
        ("policy", ("Answer: 0",)),
        ("judge", ("No error",)),
    ]
    counts = artifact.manifest["counts"]
    assert (counts["tokens.generated"], counts["tokens.judge.generated"]) == (8 * 4, 8 * 4)
    scripted = run(program, Talk(policy), others={"judge": Talk(judge)}, problems=QUESTIONS, keep=True)
    again = [row for runs in scripted for one in runs for row in one.rows]
    assert [_told(row) for row in rows] == [_told(row) for row in again]


def _told(row: Solution) -> tuple[Any, ...]:
    calls = [(one.role, one.requests, one.calls) for one in row.charges]
    return row.problem_id, row.asked, row.text, row.answer, str(row.verdict), row.chosen, row.conversation, calls


def test_an_evaluation_has_a_row_for_every_number_of_drafts(asking: Bench) -> None:
    with server_of(lambda prompt: judge(prompt) if "Check" in prompt else policy(prompt)) as server:
        artifact = asking.make(
            "e",
            "evaluate",
            policies={"base": Ref("model")},
            problems=Ref("questions"),
            program={**TINY, "rounds": 2},
            temperature=0,
            max_tokens=20,
            calls="keep",
            engine=engine_of(server),
        )
    rows = [TableRow.from_row(row) for row in rows_of(artifact)]
    assert [(row.policy, row.accuracy, row.calls) for row in rows[:3]] == [
        ("base", 1.0, 4.0),
        ("base@1", 0.0, 1.0),
        ("base@2", 1.0, 4.0),
    ]
    for row in rows:
        assert row.tokens == row.generated_tokens + row.read_tokens + row.scored_tokens  # type: ignore[operator]
    assert [len(row.conversation) for row in rows[:3]] == [4, 1, 4]
    table = artifact.manifest["metrics"]["table"]
    assert {"last", "right_to_wrong ↓", "lost ↓", "read"} & {*table["columns"]} == {"last", "right_to_wrong ↓", "read"}
    assert [row[1] for row in table["rows"]] == [
        "self_refine 2",
        "self_refine 2, 1 of its turns",
        "self_refine 2, 2 of its turns",
    ]


def test_rows_are_training_rows_behind_their_own_conversation(asking: Bench) -> None:
    program = SelfRefine.model_validate(TINY)
    text = load_policy_text(asking.store.open(asking.nodes["model"]).path / "model")
    talk = Talk(lambda prompt: judge(prompt) if "Check" in prompt else policy(prompt))
    [[done]] = run(program, talk, problems=QUESTIONS[:1])
    recoded = [recode_solution(row, text.codec) for row in done.rows]
    rows = [row for row in recoded if isinstance(row, Solution)]
    encoded = encode_solutions(rows, text.codec, 100)
    assert len(encoded.rows) == 2
    ids = encoded.rows[1].traces[0].ids
    assert text.codec.decode(ids) == "Ana has 0 coins. How many has Ana?\nAnswer: 1\nWrong\nMend\nAnswer: 0"
    other = StepCodec(Format.model_validate({"model": {"plain_suffix": " "}}), text.tokenizer)
    with pytest.raises(Exception, match=r"its row was made behind 'Ana has 0 .*\\nWrong\\nMend\\n'"):
        encode_solutions(rows[1:], other, 100)


RECIPE = """
    name: continues
    model: {init: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64, max_length: 128}, tokenizer: task}
    task: {uses: t_easy, train: 1, explore: 6, dev: 1, test: 1, steps: [1, 1]}
    stages:
      sample: {uses: sample, policy: "${model}", problems: "${task.explore}", n: 3, max_tokens: 20, calls: keep,
               program: {uses: self_refine, rounds: 2, feedback: "{question} {solution}",
                         refine: "{question} {solution} {feedback}"}}
"""


def test_shards_and_continued_samples_have_the_rows_of_one_process(tmp_path: Path, one_thread: None) -> None:
    def plan(n: int) -> Any:
        return load(tmp_path, RECIPE, f"stages.sample.n={n}")

    straight = rows_of(made(plan(3), Store(tmp_path / "straight")))
    assert rows_of(made(plan(3), Store(tmp_path / "shards"), shards=2)) == straight
    less = Store(tmp_path / "less")
    made(plan(2), less)
    continued = made(plan(3), less)
    assert continued.manifest["metrics"]["continues"]["n"] == 2 and rows_of(continued) == straight
    numbers = [row["sample"] for row in straight if row["problem_id"] == straight[0]["problem_id"]]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("program: {uses: self_refine, critic: judge}", "models: program 'self_refine' asks a model 'judge'; name one"),
        ('models: {judge: "${model}"}', "models: program 'solve' asks no 'judge'; leave it out"),
        ("program: self_refin", "Did you mean 'self_refine'"),
        ("scorer: likelihood", "scorer: program 'solve' scores nothing; leave it out"),
        ('verifier: "${model}"', "verifier: no `scorer` reads it; leave it out"),
    ],
)
def test_what_cannot_run_is_refused_when_the_recipe_loads(tmp_path: Path, more: str, said: str) -> None:
    head = RECIPE.partition("stages:")[0]
    stage = f'stages:\n      s: {{uses: sample, policy: "${{model}}", problems: "${{task.explore}}", {more}}}\n'
    with pytest.raises(RecipeError, match=re.escape(said)):
        load(tmp_path, head + stage)
