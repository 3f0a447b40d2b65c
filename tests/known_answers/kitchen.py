"""A store that the cases of stages share, with one micro model, half taught, and names of which none is used twice."""

from __future__ import annotations

import atexit
import functools
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Artifact
from tests.reasoning_train.bench import CHAIN, Bench, points, rows_of

FEW = {**CHAIN, "train": 4, "steps": [1, 1]}
_numbers = itertools.count()


@functools.cache
def bench() -> Bench:
    """`model`: fresh weights; `gold` over `gold.problems`; `half`: a policy that solves some of them."""
    import torch

    torch.set_num_threads(1)
    folder = tempfile.mkdtemp(prefix="known-answers-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Bench(Path(folder) / "store")
    made.model()
    made.gold(task=FEW)
    made.make("half", "sft", policy=Ref("model"), data=Ref("gold"), learning_rate=0.01, batch_size=4, max_steps=30)
    return made


def make(uses: str, **config: Any) -> Artifact:
    """A stage run anew, whatever ran before; its name is its manifest's `node`."""
    return bench().make(f"{uses}_{next(_numbers)}", uses, **config)


def fresh(name: str) -> str:
    """A name for rows made by hand."""
    return f"{name}_{next(_numbers)}"


def rows(artifact: Artifact, *columns: str) -> list[list[Any]]:
    """These columns of the rows of its main output."""
    return [[row[column] for column in columns] for row in rows_of(artifact)]


def counts(artifact: Artifact) -> dict[str, int]:
    """What it counted."""
    return dict(artifact.manifest["counts"])


def metrics(artifact: Artifact, *names: str) -> dict[str, Any]:
    """Some of what it measured."""
    return {name: artifact.manifest["metrics"][name] for name in names}


def curve(artifact: Artifact) -> list[dict[str, float]]:
    """What a training watched; how fast it went left out."""
    left_out = ("attempt", "grad_norm")
    return [{name: point[name] for name in sorted(point) if name not in left_out} for point in points(artifact)]
