"""`reasoning_gym`: problems of any generator of the reasoning-gym library, graded by the generator's own scorer.

Scorers parse and even `eval` what the model wrote, so they run in the checker's process (`data_gen.grading.checker`),
never in this one.

task: {uses: reasoning_gym, generator: gsm_symbolic, config: {difficulty: 1.0}, train: 500, dev: 100, test: 500}
tasks: {easy: {uses: reasoning_gym, generator: chain_sum, level: 0}, hard: {uses: reasoning_gym, generator: chain_sum,
    level: 4}}

A mixture of generators is a task each, merged by stage `concat` with the shares that are wanted; the measure `score`
shows the scorers' raw rewards, which may be partial.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field, model_validator

from data_gen.errors import UserError, nearest
from data_gen.graders.generator import Generator
from data_gen.grading.generators import generator, pack, settings_at
from data_gen.records.problem import Problem
from data_gen.sources.division import normalised, question_key
from data_gen.sources.values import step_lines
from data_gen.tasks import TASKS
from data_gen.tasks.base import Origin, Task
from data_gen.tasks.beside import AnyGrader

SPAN = 10**6
"""Distance between the seeds of splits. In most generators item i of seed s is item 0 of seed s + i."""
ORDER = ("test", "dev", "train")
"""A question belongs to the first of these splits that draws it."""
EVALUATES = frozenset(
    [
        "binary_matrix",
        "codeio",
        "countdown",
        "intermediate_integration",
        "n_queens",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    ]
)
"""Generators whose scorers run the answer as Python (`eval`, or sympy's parser, which uses it). The checker's process
has time and memory limits but is no sandbox: the code runs with the user's rights."""
ACCEPTS_ANYTHING = frozenset(["game_of_life_halting"])
"""Generators whose scorers give full marks to every text. `game_of_life_halting` compares whether texts are empty."""
DRAWS = 20
"""Items drawn per wanted problem before a generator counts as exhausted."""


@TASKS.register("reasoning_gym")
class ReasoningGym(Task):
    """Problems of one reasoning-gym generator.

    Repeats of a question are dropped within and across splits (test first, then dev, then train).
    """

    version: ClassVar[int] = 1
    templated: ClassVar[bool] = True

    generator: str
    """A dataset name of reasoning-gym, such as `chain_sum`."""
    level: int | None = Field(None, ge=0)
    """Level of the generator's own curriculum, which sets its dials. `config` takes precedence. Null: its defaults."""
    config: dict[str, Any] = {}
    """The generator's own settings."""
    seed: int = Field(0, ge=0)
    """Seed of the problems. It is independent of the recipe's seed, so all recipe seeds use the same test set."""
    train: int = Field(1000, ge=0, le=SPAN)
    dev: int = Field(200, ge=0, le=SPAN)
    test: int = Field(1000, ge=0, le=SPAN)

    grader: AnyGrader = Generator()
    """Default: the generator's own scorer."""
    run_answers_as_code: bool = False
    """Allows generators listed in `EVALUATES`."""

    @model_validator(mode="after")
    def _tells_right_from_wrong(self) -> ReasoningGym:
        if self.generator in ACCEPTS_ANYTHING and self.grader.uses == "generator":
            raise ValueError(
                f"generator: the scorer of {self.generator!r} takes every answer for right. Choose another generator, "
                "or another grader, such as `grader: yes_no`"
            )
        if set_here := {"seed", "size"} & self.config.keys():
            raise ValueError(
                f"config: {min(set_here)!r} is set for every split, so that no two splits share items. Use the task's "
                "own `seed`, `train`, `dev` and `test`"
            )
        return self

    @model_validator(mode="after")
    def _no_code_unasked(self) -> ReasoningGym:
        if self.generator in EVALUATES and self.grader.uses == "generator" and not self.run_answers_as_code:
            raise ValueError(
                f"generator: the scorer of {self.generator!r} runs what the model wrote as Python code, outside a "
                "sandbox. Choose another generator, or set `run_answers_as_code: true` where that is acceptable, in a "
                "container for example"
            )
        return self

    @property
    def disjoint_splits(self) -> bool:
        """True: a question of one split is not drawn for another."""
        return True

    def splits(self) -> dict[str, int | None]:
        """train, dev and test with their sizes."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    def origin(self, split: str) -> Origin:
        """Item i of seed s is item 0 of seed s + i, whatever the settings: splits of one generator that begin with one
        seed have items in common, in any task."""
        start = self._start(split) if split in ORDER else split
        return Origin(f"reasoning-gym {self.generator}, items from {start}", split)

    def problems(self, split: str) -> Iterator[Problem]:
        """Distinct problems of one split. UserError if the generator has too few or refuses its settings."""
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

    def _start(self, split: str) -> int:
        """The seed of a split's first item."""
        return (self.seed * len(ORDER) + ORDER.index(split)) * SPAN

    def _settings(self) -> dict[str, Any]:
        """The generator's settings: those of the level, then `config`."""
        return self.config if self.level is None else settings_at(self.generator, self.level) | self.config

    def _draw(self, split: str, taken: set[bytes]) -> Iterator[dict[str, Any]]:
        """Entries whose questions are not in `taken`. Their questions are added to `taken`."""
        wanted = self.splits()[split] or 0
        size = min(DRAWS * wanted, SPAN) or 1
        settings = {**self._settings(), "seed": self._start(split), "size": size}
        entries = generator(self.generator, json.dumps(settings))
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
                f"task.{split}: the generator {self.generator!r} has too few distinct questions: {wanted} of "
                f"{self.splits()[split]} are missing. Ask for fewer, or widen it through task.config."
            )

    def _problem(self, entry: dict[str, Any], split: str, number: int) -> Problem:
        gold = entry["answer"]
        known = {"answer": gold, "metadata": entry["metadata"]}
        return Problem(
            id=f"{self.generator}/{split}/{number}",
            question=entry["question"],
            gold=None if gold is None else str(gold),
            group=normalised(entry["question"]),
            split=split,
            gold_steps=_worked(entry["metadata"].get("answer_cot")),
            payload=json.dumps({"generator": self.generator, "config": self._settings(), **pack(known)}),
            tags=self._tags(entry["metadata"].get("difficulty")),
        )

    def _tags(self, difficulty: Any) -> dict[str, str]:
        level = {} if self.level is None else {"level": str(self.level)}
        return {"source": self.generator, **level, **_dials(difficulty)}


def _dials(difficulty: Any) -> dict[str, str]:
    """The generator's settings for one entry, such as `num_terms`, as tags. Settings that are not plain values are left
    out."""
    known = difficulty.items() if isinstance(difficulty, dict) else ()
    return {name: str(value) for name, value in known if isinstance(value, (str, int, float))}


def _worked(solution: str | None) -> tuple[str, ...]:
    """The lines of a worked solution before its marked answer."""
    return step_lines((solution or "").rpartition("####")[0] or solution)
