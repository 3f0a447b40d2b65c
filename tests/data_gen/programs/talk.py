"""Programs over scripted models that answer by the text of the prompt, and a log of what they were asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_gen.engines.base import LM, Engine, Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.format import Format, StepCodec
from data_gen.programs import PromptProgram, revise, self_refine
from data_gen.programs.running import FinishedRun, OtherModel, ProgramRunner
from data_gen.records.problem import Problem
from data_gen.tasks.chain import Chain
from reasoning_train.models.words import word_tokenizer

TASK = Chain(uses="chain")
WORDS = ("No", "error", "Wrong", "Check", "Mend", "it", "yes", "no")
WRITTEN = re.findall(r"[A-Za-z]+|[^\sA-Za-z]", self_refine.FEEDBACK + self_refine.REFINE + revise.TEMPLATE)
TOKENIZER = word_tokenizer([*dict.fromkeys([*TASK.vocabulary(), *WORDS, *WRITTEN])])
CODEC = StepCodec(Format(), TOKENIZER)
QUESTION = "Ana has 12 coins. Ben has 8 more than Ana. How many has Ben?"
PROBLEM = Problem(
    id="p", question=QUESTION, gold="20", group="g", split="test", gold_steps=("12 + 8 = 20",), difficulty=1.0
)
RIGHT, WRONG, WORSE = "12 + 8 = 20\nAnswer: 20", "12 + 8 = 21\nAnswer: 21", "12 + 8 = 22\nAnswer: 22"
Answering = Callable[[str], str] | Mapping[str, str] | Sequence[str]


class Talk:
    """A scripted model: by function of the prompt, by the last line of the prompt, or one reply after another."""

    def __init__(self, answering: Answering, *, end: bool = True) -> None:
        self.prompts: list[str] = []
        self._answering, self._end = answering, end
        self.engine = ScriptedEngine(self._script)

    def _script(self, prefix: tuple[int, ...], seed: int) -> list[int]:
        prompt = CODEC.decode(prefix)
        self.prompts.append(prompt)
        ids: list[int] = TOKENIZER(self._said(prompt), add_special_tokens=False)["input_ids"]
        return [*ids, TOKENIZER.eos_token_id]

    def _said(self, prompt: str) -> str:
        if callable(self._answering):
            return self._answering(prompt)
        if isinstance(self._answering, Mapping):
            return self._answering[prompt.strip().splitlines()[-1]]
        return self._answering[len(self.prompts) - 1]


def run(
    program: PromptProgram,
    policy: Talk,
    *,
    others: Mapping[str, Talk] | None = None,
    n: int = 1,
    problems: Sequence[Problem] = (PROBLEM,),
    context: int = 1000,
    keep: bool = False,
    engine: Engine | None = None,
    seed: int = 0,
    scorer: Any = None,
    **sampling: Any,
) -> list[list[FinishedRun]]:
    """The runs on each problem, in the order of the problems."""
    models = {name: OtherModel(talk.engine, CODEC, context) for name, talk in (others or {}).items()}
    runner = ProgramRunner(
        program=program,
        task=TASK,
        codec=CODEC,
        context=context,
        others=models,
        keep=keep,
        seed=seed,
        scorer=scorer,
    )

    async def solve(problem: Problem, lm: LM) -> list[FinishedRun]:
        return await runner.runs(problem, lm, range(n), Sampling(**{"max_tokens": 60, **sampling}))

    found = run_programs(
        engine or policy.engine,
        problems,
        solve,
        seed=seed,
        key=lambda p: p.id,
        in_flight=len(problems),
        others=[one.engine for one in models.values()],
    )
    by_id = {problem.id: runs for problem, runs in found}
    return [by_id[problem.id] for problem in problems]
