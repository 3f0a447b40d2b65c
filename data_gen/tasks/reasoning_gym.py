"""`reasoning_gym`: problems of any generator of the reasoning-gym library, judged by the generator's own scorer.

task: {uses: reasoning_gym, generator: gsm_symbolic, config: {difficulty: 1.0}, train: 500, dev: 100, test: 500}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

from pydantic import Field

from data_gen.errors import UserError, nearest
from data_gen.grading.verify import verify
from data_gen.records import Problem
from data_gen.sources.division import normalised, question_key
from data_gen.sources.fields import step_lines
from data_gen.tasks import TASKS
from data_gen.tasks.base import Task
from data_gen.verdict import Answer, Gold, Grade, Verdict

SPAN = 10**6
"""Distance between the seeds of splits: item i of seed s is item 0 of seed s + i in most generators."""
ORDER = ("test", "dev", "train")
"""A question belongs to the first split that draws it."""
DRAWS = 20
"""Items drawn a problem wanted before a generator counts as exhausted."""


@TASKS.register("reasoning_gym")
class ReasoningGym(Task):
    """Generated problems; repeats of a question are dropped within and across splits (test first, then dev, then train)."""

    version: ClassVar[int] = 1

    generator: str
    """A dataset name of reasoning-gym, such as `chain_sum`."""
    config: dict[str, Any] = {}
    """The generator's own settings."""
    seed: int = Field(0, ge=0)
    """Which problems; independent of the recipe's seed, so that all seeds meet the same test set."""
    train: int = Field(1000, ge=0)
    dev: int = Field(200, ge=0)
    test: int = Field(1000, ge=0)

    @property
    def disjoint_splits(self) -> bool:
        """True: a question of one split is not drawn for another."""
        return True

    def splits(self) -> dict[str, int | None]:
        """train, dev and test with their sizes."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    def problems(self, split: str) -> Iterator[Problem]:
        """Distinct problems of one split; UserError where the generator has too few or its settings are refused."""
        sizes = self.splits()
        if split not in sizes:
            raise UserError(f"task.{split}: no split {split!r} in this task.{nearest(split, sizes)}")
        taken: set[bytes] = set()
        for name in ORDER:
            for number, entry in enumerate(self._draw(name, taken)):
                if name == split:
                    yield self._problem(entry, split, number)
            if name == split:
                return

    def verify(self, gold: Gold, answer: Answer) -> Grade:
        """Comparison with one gold answer; `grade` is what knows all right answers."""
        return verify(gold, answer)

    def grade(self, problem: Problem, answer: Answer) -> Grade:
        """CORRECT iff the generator's scorer gives 1 or more; many puzzles have several right answers or no single gold."""
        if answer.text is None or not answer.text.strip():
            return Grade(Verdict.WRONG, "no_answer")
        scorer = _generator(self.generator, json.dumps({**self.config, "seed": 0, "size": 1}))
        entry = {**unpack(json.loads(problem.payload)), "question": problem.question}
        try:
            score = scorer.score_answer(answer.text, entry)
        except Exception:
            # Some scorers read the answer without care: `int("no idea")`.
            return Grade(Verdict.WRONG, "unreadable")
        return Grade(Verdict.CORRECT if score >= 1.0 else Verdict.WRONG, "generator")

    def _draw(self, split: str, taken: set[bytes]) -> Iterator[dict[str, Any]]:
        """Entries whose questions are not in `taken`, which grows by them."""
        wanted = self.splits()[split] or 0
        start = (self.seed * len(ORDER) + ORDER.index(split)) * SPAN
        entries = _generator(self.generator, json.dumps({**self.config, "seed": start, "size": min(DRAWS * wanted, SPAN) or 1}))
        for entry in entries:
            if wanted == 0:
                return
            key = question_key(entry["question"])
            if key not in taken:
                taken.add(key)
                wanted -= 1
                yield entry
        if wanted:
            raise UserError(
                f"task.{split}: the generator {self.generator!r} has too few distinct questions: {wanted} of {self.splits()[split]} "
                f"are missing. Ask for fewer, or widen it through task.config."
            )

    def _problem(self, entry: dict[str, Any], split: str, number: int) -> Problem:
        gold = entry["answer"]
        return Problem(
            id=f"{self.generator}/{split}/{number}",
            question=entry["question"],
            gold=None if gold is None else str(gold),
            group=normalised(entry["question"]),
            split=split,
            gold_steps=_worked(entry["metadata"].get("answer_cot")),
            payload=json.dumps(pack({"answer": gold, "metadata": entry["metadata"]})),
        )


def _worked(solution: str | None) -> tuple[str, ...]:
    """The lines of a worked solution up to its marked answer."""
    return step_lines((solution or "").rpartition("####")[0] or solution)


def pack(value: Any) -> Any:
    """A value that JSON keeps: tuples and mappings with keys other than text are tagged."""
    if isinstance(value, tuple):
        return {"__tuple__": [pack(v) for v in value]}
    if isinstance(value, list):
        return [pack(v) for v in value]
    if isinstance(value, dict):
        if all(isinstance(k, str) for k in value):
            return {k: pack(v) for k, v in value.items()}
        return {"__items__": [[pack(k), pack(v)] for k, v in value.items()]}
    return value


def unpack(value: Any) -> Any:
    """What `pack` was given."""
    if isinstance(value, list):
        return [unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "__tuple__" in value:
        return tuple(unpack(v) for v in value["__tuple__"])
    if "__items__" in value:
        return {unpack(k): unpack(v) for k, v in value["__items__"]}
    return {k: unpack(v) for k, v in value.items()}


@cache
def _generator(name: str, config: str) -> Any:
    """A dataset of reasoning-gym; made once, since some load word lists. UserError for an unknown name or refused settings."""
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if name not in DATASETS:
        raise UserError(f"task.generator: reasoning-gym has no generator {name!r}.{nearest(name, DATASETS)}")
    try:
        return reasoning_gym.create_dataset(name, **json.loads(config))
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(f"task.config: the generator {name!r} refuses {config}: {error}.") from None
