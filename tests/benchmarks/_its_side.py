"""its_hub's side of the comparison, a program of its own environment: reads a job from stdin, writes answers and
seconds to stdout.

The verifier of both sides stands here, too: exact steps behind noise that follows from the text alone. Nothing but the
standard library at top level.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from typing import Any

SIGNAL, NOISE = 1.5, 1.5
"""Log-odds: sigmoid(+-SIGNAL + N(0, NOISE)), + while every step is right."""


def value(problem: str, gold_steps: list[str], text: str) -> float:
    """P(correct) of a partial solution, as a mediocre process reward model would have it."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    steps = [line for line in lines if "Answer" not in line]
    right = steps == gold_steps[: len(steps)]
    if len(steps) < len(lines):
        result = gold_steps[-1].split("=")[-1].strip()
        right = right and steps == gold_steps and lines[-1].split(":")[-1].strip() == result
    odds = (SIGNAL if right else -SIGNAL) + random.Random("\n".join([problem, *lines])).gauss(0.0, NOISE)
    return 1 / (1 + math.exp(-odds))


def main() -> None:
    """`{url, model, algorithm, budget, width, temperature, max_steps, max_tokens, at_once, problems: [{id, question,
    gold_steps}]}`."""
    job = json.load(sys.stdin)
    began = time.perf_counter()
    answers = asyncio.run(_answers(job))
    json.dump({"answers": answers, "seconds": time.perf_counter() - began}, sys.stdout)


async def _answers(job: dict[str, Any]) -> list[str]:
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel

    lm = OpenAICompatibleLanguageModel(job["url"], "none", job["model"], max_completion_tokens=job["max_tokens"])
    by_question = {problem["question"]: problem for problem in job["problems"]}
    algorithm = _algorithm(job, by_question)
    limit = asyncio.Semaphore(len(by_question) if job["at_once"] else 1)

    async def answer(problem: dict[str, Any]) -> str:
        async with limit:
            message = await algorithm.ainfer(lm, problem["question"], job["budget"])
        return str(message["content"])

    return list(await asyncio.gather(*(answer(problem) for problem in job["problems"])))


def _algorithm(job: dict[str, Any], by_question: dict[str, Any]) -> Any:
    from its_hub.api import AbstractProcessRewardModel
    from its_hub.core.algorithms.beam_search import BeamSearch
    from its_hub.core.algorithms.particle_gibbs import ParticleFiltering
    from its_hub.core.lms.step_generation import StepGeneration

    class Verifier(AbstractProcessRewardModel):
        def score(self, prompt: str, steps: list[str]) -> list[float]:
            problem = by_question[prompt]
            return [value(problem["id"], problem["gold_steps"], text) for text in steps]

        async def ascore(self, prompt: str, steps: list[str]) -> list[float]:
            return self.score(prompt, steps)

    steps = StepGeneration(job["max_steps"], step_token="\n", stop_token="Answer", temperature=job["temperature"])
    if job["algorithm"] == "beam":
        return BeamSearch(steps, Verifier(), beam_width=job["width"])
    return ParticleFiltering(steps, Verifier())


if __name__ == "__main__":
    main()
