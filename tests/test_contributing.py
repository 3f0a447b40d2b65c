"""The examples of CONTRIBUTING: each is one file and no other edit, and works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("recipes/*/README.md"))]
EXAMPLES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", TEXT, re.S))

RECIPE = """
name: examples
include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
task: {grader: {uses: residue, base: 7}, measures: [characters]}
stages:
  data:  {uses: transform, problems: "${task.train}", solutions: "${task.train.gold}", apply: [shuffle_steps]}
  base:  {uses: sft, policy: "${model}", data: "${stages.data}", learning_rate: 1e-3, max_steps: 2,
          losses: [cross_entropy, {uses: unlikelihood, weight: 0.1}]}
  pool:  {uses: search, policy: "${stages.base}", problems: "${task.test}", search: {uses: iid, n: 2}}
  table: {uses: evaluate_trees, strategies: {first: {trees: "${stages.pool}", vote: first}}, problems: "${task.test}"}
  again: {uses: evaluate, policies: {base: "${stages.base}"}, problems: "${task.test}", program: confirm}
"""

WORKS = """
import math, random
from types import SimpleNamespace

import torch

from data_gen.graders import GRADERS
from data_gen.measures import MEASURES
from data_gen.records.problem import Problem
from data_gen.records.segment import Segment
from data_gen.records.solution import Solution
from data_gen.records.verdict import Answer, Verdict
from data_gen.search.votes import VOTES
from data_gen.search.votes.base import Ballot
from data_gen.transforms import TRANSFORMS
from reasoning_train.trainers.losses.base import LOSSES

problem = Problem(id="p", question="?", gold="12", group="p", split="train")
residue = GRADERS.get("residue")(base=7)
assert residue.grade(problem, Answer("5")).verdict is Verdict.CORRECT
assert residue.grade(problem, Answer("six")).verdict is Verdict.WRONG

leaves = [SimpleNamespace(answer="1", outcome=1.0), SimpleNamespace(answer="2", outcome=0.0)]
assert VOTES.get("first")().chances([Ballot(leaf, 1, 0.0) for leaf in leaves], str) == [(leaves[0], 1.0)]

steps = tuple(Segment(kind="step", text=f"{i}\\n") for i in range(5))
row = Solution(problem_id="p", sample=0, prompt="?", segments=(*steps, Segment(kind="answer", text="Answer: 1")),
               answer="1", verdict=Verdict.CORRECT, finish="stop")
assert MEASURES.get("characters")().of(None, problem, row) == {"characters": 19.0}
[shuffled] = TRANSFORMS.get("shuffle_steps")()(problem, [row], random.Random(0))
assert sorted(shuffled.steps) == sorted(row.steps) and shuffled.steps != row.steps
assert shuffled.segments[-1].kind == "answer"

out = SimpleNamespace(logprobs=torch.tensor([0.5, 0.75]).log(), batch={"token_weight": torch.tensor([1.0, 2.0])})
expected = -(math.log(0.5) + 2 * math.log(0.25))
assert abs(float(LOSSES.get("unlikelihood")()(out)) - expected) < 1e-5

from data_gen.engines.base import Sampling
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.format import Format, StepCodec
from data_gen.programs import PROGRAMS
from data_gen.programs.running import ProgramRunner
from data_gen.tasks.chain import Chain
from reasoning_train.models.words import word_tokenizer

task, said = Chain(uses="chain"), iter(["Answer: 7", "Answer: 8", "Answer: 8", "Answer: 9"])
words = word_tokenizer(task.vocabulary())
engine = ScriptedEngine(lambda prefix, seed: [*words(next(said))["input_ids"], words.eos_token_id])
confirm = PROGRAMS.get("confirm")(most=4)
runner = ProgramRunner(program=confirm, task=task, codec=StepCodec(Format(), words), context=99)
asked = Problem(id="p", question="How many coins has Ana?", gold="8", group="p", split="train")
solve = lambda problem, lm: runner.runs(problem, lm, range(1), Sampling(max_tokens=9))
[(_, [done])] = run_programs(engine, [asked], solve, seed=0, key=lambda p: p.id, in_flight=1)
assert [row.answer for row in done.rows] == ["7", "8", "8"] and done.rows[-1].chosen
assert (done.rows[-1].verdict, done.charge().calls) == ("correct", 3)
"""

REGISTERED = """
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import STAGES

assert STAGES.get("shortest").outputs == {"data": "solutions"}
assert ShortestConfig(solutions=Ref("sample")).min_rows == 1
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with the six files added, as a commit and a change to it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("data_gen", "reasoning_train", "launch", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "before"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    for path, text in EXAMPLES.items():
        (folder / path).write_text(text, encoding="utf-8")
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What Python says in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_one_example_of_each_kind() -> None:
    folders = {str(Path(path).parent) for path in EXAMPLES}
    assert folders == {
        "reasoning_train/trainers/losses",
        "data_gen/search/votes",
        "data_gen/measures",
        "data_gen/graders",
        "data_gen/transforms",
        "data_gen/programs",
    }


def test_a_recipe_names_all_of_them_without_another_edit(copy: Path) -> None:
    assert "recipe.yaml" in run(copy, "-m", "launch.cli", "plan", "recipe.yaml", "--resolved")


def test_they_do_what_they_say(copy: Path) -> None:
    run(copy, "-c", WORKS)


def test_the_stage_registers_by_itself(copy: Path) -> None:
    [code] = [code for code in PYTHON if '@stage("shortest"' in code]
    run(copy, "-c", f"{code}\n{REGISTERED}")


def test_the_diffstat_is_the_one_that_is_shown(copy: Path) -> None:
    said = subprocess.run(
        ["git", "diff", "--cached", "--stat=80"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    assert said in TEXT, said


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code[:30])
@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_examples_are_as_lint_wants_them(command: list[str], code: str) -> None:
    ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(ROOT / "reasoning_train/example.py"), "-"]
    done = subprocess.run(ruff, input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w./-])((?:data_gen|reasoning_train|launch|tests|configs|recipes)/[\w./-]+\.\w+)", text)
    linked = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    made = {*EXAMPLES, "reasoning_train/stages/shortest.py"}
    made |= {f"recipes/NAME/{name}" for name in ("tiny.yaml", "README.md", "result.json")}
    missing = [path for path in dict.fromkeys(named) if path not in made and not (ROOT / path).exists()]
    missing += [path for path in dict.fromkeys(linked) if not (document.parent / path).exists()]
    assert not missing
