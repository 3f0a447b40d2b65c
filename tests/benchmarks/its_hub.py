"""its_hub (PyPI `its-hub`) beside ours: particle filtering and step beam, one vLLM server, one verifier, one budget, the quickstart's base.

Runs where `make bench-its-hub` made its environments, and says nothing elsewhere. its_hub speaks to the chat endpoint only, so the
server gets a template that adds nothing to the plain prompt; both sides then continue the same token ids. Answers are the best-scored final
path's on both sides. Arms: problems one after another (as its_hub's `infer` runs them) and all at once (`ainfer` of each gathered).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.engines.base import LM
from data_gen.records import Problem
from data_gen.scales import Scale
from data_gen.scorers import Prefix, Score
from tests.benchmarks._its_side import value

PROBLEMS, ONE_BY_ONE, BUDGET, WIDTH, TEMPERATURE, STEPS, TOKENS = 200, 40, 8, 2, 1.0, 12, 24
"""All at once, one after another; paths of a problem; beams kept; limits in steps of a path and tokens of a step."""
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'user' %}{{ '\n' }}{% endif %}{% endfor %}"
THEIRS, SERVER = Path(".venv-its/bin/python"), Path(".venv-vllm/bin/vllm")


def run() -> Iterator[dict[str, Any]]:
    """Wall time, accuracy and generated tokens of both sides. There is no target: they are what they are."""
    if not (THEIRS.exists() and SERVER.exists()):
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = _policy(Path(folder))
        with _serving(weights, Path(folder)) as server:
            bench = _Bench(server.url, weights)
            for algorithm in ("particle", "beam"):
                for at_once in (True, False):
                    for side in ("ours", "its_hub"):
                        yield from bench.arm(side, algorithm, at_once)


@dataclass(frozen=True)
class _Bench:
    url: str
    weights: Path

    def arm(self, side: str, algorithm: str, at_once: bool) -> Iterator[dict[str, Any]]:
        """Three figures."""
        from data_gen.tasks.chain import Chain
        from data_gen.verdict import Answer, Verdict

        task = Chain(uses="chain", test=PROBLEMS if at_once else ONE_BY_ONE)
        problems, before = list(task.problems("test")), self._tokens()
        answers, seconds = (self._ours if side == "ours" else self._theirs)(algorithm, problems, at_once)
        right = [task.grade(p, Answer(a)).verdict is Verdict.CORRECT for p, a in zip(problems, answers, strict=True)]
        name = f"its_hub.{algorithm}.{'at_once' if at_once else 'one_by_one'}.{side}"
        found = {
            "s/problem": seconds / len(problems),
            "accuracy": sum(right) / len(right),
            "tokens": (self._tokens() - before) / len(problems),
        }
        for unit, figure in found.items():
            yield {"name": name, "value": round(figure, 4), "unit": unit, "target": None, "ok": True}

    def _theirs(self, algorithm: str, problems: Sequence[Problem], at_once: bool) -> tuple[list[str | None], float]:
        from data_gen.format import Format

        rows = [{"id": p.id, "question": p.question, "gold_steps": list(p.gold_steps)} for p in problems]
        limits = {"budget": BUDGET, "width": WIDTH, "temperature": TEMPERATURE, "max_steps": STEPS, "max_tokens": TOKENS}
        job = {"url": self.url, "model": str(self.weights), "algorithm": algorithm, "at_once": at_once, "problems": rows, **limits}
        # -P: this folder holds a module of their package's name.
        command = [str(THEIRS), "-P", "-W", "ignore", str(Path(__file__).with_name("_its_side.py"))]
        done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        return [Format().extract_answer(text) for text in found["answers"]], found["seconds"]

    def _ours(self, algorithm: str, problems: Sequence[Problem], at_once: bool) -> tuple[list[str | None], float]:
        from data_gen.engines.config import OpenAIConfig
        from data_gen.engines.openai_open import Speaker, open_openai
        from data_gen.engines.programs import run_programs
        from data_gen.search import Limits, SearchTree
        from data_gen.search.vote import ballots, elect
        from reasoning_train.models.policy_text import load_policy_text

        policy, search = load_policy_text(self.weights), _search(algorithm)
        speaker = Speaker(tokenizer=policy.tokenizer, end_ids=policy.codec.end_ids, context=policy.context)
        config = OpenAIConfig(base_url=self.url, server="vllm", concurrency=256)

        async def answer(problem: Problem, lm: LM) -> str | None:
            limits = Limits(max_depth=search.max_depth, max_length=policy.context - len(policy.codec.prompt_ids(problem.question)))
            tree = SearchTree(problem, lm, policy.codec, limits, search.scale, scorer=_Verifier())
            await search.grow(tree)
            chosen = elect(ballots(tree.frozen(0, oracle=True), "search"), "argmax", str.__eq__, problem.id).leaf
            return chosen.answer if chosen else None

        with open_openai(config, speaker, log=Path(os.devnull)) as engine:
            began, width = time.perf_counter(), len(problems) if at_once else 1
            found = {p.id: a for p, a in run_programs(engine, problems, answer, seed=0, key=lambda p: p.id, in_flight=width)}
            return [found[p.id] for p in problems], time.perf_counter() - began

    def _tokens(self) -> int:
        """What the server has generated so far."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/metrics") as answer:
            counts = re.findall(r"^vllm:generation_tokens_total\{.*\} ([\d.e+]+)$", answer.read().decode(), re.MULTILINE)
        return int(sum(map(float, counts)))


class _Verifier:
    """Their verifier as a scorer of ours."""

    name, scale = "its", Scale.P

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        texts = ["\n".join([*p.steps, *([p.closing] if p.closing else [])]) for p in prefixes]
        return [Score(value(p.problem.id, list(p.problem.gold_steps), text)) for p, text in zip(prefixes, texts, strict=True)]


def _search(algorithm: str) -> Any:
    """The configuration that is theirs: multinomial resampling at every step; WIDTH beams that share BUDGET children."""
    from data_gen.search import Expand
    from data_gen.search.beam import Beam
    from data_gen.search.particle import Particle
    from data_gen.search.resample import Resample

    step = {"temperature": TEMPERATURE, "max_tokens": TOKENS}
    if algorithm == "beam":
        return Beam(beams=WIDTH, max_depth=STEPS, expand=Expand(n=BUDGET // WIDTH, **step))
    return Particle(n=BUDGET, max_depth=STEPS, expand=Expand(**step), resample=Resample(scheme="multinomial"))


def _policy(folder: Path) -> Path:
    """The quickstart's base, from the store or trained now, as a folder that can be served."""
    from reasoning_train.recipe.includes import CHECKOUT
    from reasoning_train.recipe.load import load_plan
    from reasoning_train.recipe.store import Store

    whole = (CHECKOUT / "recipes/rejection_sampling/tiny.yaml").read_text(encoding="utf-8")
    recipe = folder / "base.yaml"
    recipe.write_text(whole[: whole.index("  sample:")], encoding="utf-8")
    store = Path(os.environ.get("REASONING_TRAIN_STORE", "store"))
    subprocess.run([sys.executable, "-m", "launch.cli", "run", str(recipe), "--store", str(store)], check=True, stdout=subprocess.DEVNULL)
    weights = folder / "base"
    shutil.copytree(Store(store).open(load_plan(recipe).nodes["base"]).path / "model", weights)
    return weights


def _serving(weights: Path, folder: Path) -> Any:
    from data_gen.engines.config import ServeConfig
    from data_gen.engines.server import Server
    from data_gen.engines.server_commands import serve_command, serve_environment

    template = folder / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    config = ServeConfig(
        command="vllm", executable=str(SERVER.absolute()), args=("--chat-template", str(template), "--max-num-seqs", "256")
    )
    return Server(serve_command(config, weights, context=256, gpu=False), log=folder / "server.log", env=serve_environment(1))
