"""Progress of an unfinished artifact, kept in `<artifact>.partial/` and resumed by the same key.

inputs.json                   digests of the inputs that the progress was made from
log-<k>-of-<n>.jsonl          finished problems (append_log.py)
attempts-<k>-of-<n>.json      attempts, wall time, counts and metrics of one shard; `done` once it is complete
history-<k>-of-<n>.jsonl      points of the curves
work/                         the stage's own files (trainer checkpoints)
out-<token>/                  what will be published; each process that owned the artifact has its own

Anything else that stands under one of these names (a folder, a named pipe, a link to nowhere) is damage: readers count
it as absent, and who opens the progress to work on it renames it to `set-aside-<token>-<name>`.

Every write needs the lease (process/lease.py): a process that was frozen while another took over writes nothing more.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.process import lease
from reasoning_train.store.append_log import log_name, read_logs, whole_bytes
from reasoning_train.store.locks import guard
from reasoning_train.store.state_files import Shape, read_json, read_json_lines, write_json
from reasoning_train.store.store import Store

Shard = tuple[int, int]
_ATTEMPTS = re.compile(r"attempts-(\d{1,6})-of-(\d{1,6})\.json")
# With a star each: without one, `glob` leaves out links to nowhere.
_FILES = ("log-*", "attempts-*", "history-*", "quarantine*")
_FOLDERS = ("work*",)


class _Point(Shape):
    """A point of the curves, as its file has it."""

    attempt: int
    step: float = -1.0
    __pydantic_extra__: dict[str, float]


@dataclass(slots=True)
class Attempts:
    """State of one shard over all its attempts."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    number: int = 0
    """Number of attempts started."""
    wall_s: float = 0.0
    """Time of the attempts that ended by themselves, without killed ones."""
    started: float = 0.0
    """Unix time of the first attempt's start."""
    done: bool = False
    log_bytes: int = 0
    """Size of its log when the shard was done."""
    counts: dict[str, int] = field(default_factory=dict)
    """Counts that belong to no record of the log."""
    metrics: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    """Fingerprints of the modules that the last attempt used."""


class Partial:
    """The progress folder of a node, for the process that holds the claim and its `token`."""

    def __init__(self, folder: Path, token: str = "") -> None:
        self.folder = folder
        self.out = folder / f"out-{token[:8]}"

    def forget_others(self) -> None:
        """Remove what earlier owners of the whole artifact were about to publish."""
        for path in self.folder.glob("out*"):
            if path != self.out:
                shutil.rmtree(path, ignore_errors=True)

    def work(self, shard: Shard) -> Path:
        """The stage's own folder, created if absent. Each shard has its own."""
        path = self.folder / ("work" if shard == (0, 1) else f"work-{shard[0]}-of-{shard[1]}")
        path.mkdir(exist_ok=True)
        return path

    def save(self, shard: Shard, attempts: Attempts) -> None:
        """Write a shard's state."""
        write_json(self._path(shard), asdict(attempts))

    def read(self, shard: Shard) -> Attempts:
        """A shard's state; empty if it never started or its file is damaged: its records are kept, and its points of
        the curves tell how many attempts there were. A shard whose log has lost records since it ended is not done."""
        found = read_json(self._path(shard), Attempts)
        if found is None:
            return Attempts(number=max((point["attempt"] for point in self._points(shard)), default=0))
        attempts = Attempts(**found)
        attempts.done = attempts.done and self.log_bytes(shard) >= attempts.log_bytes
        return attempts

    def log_bytes(self, shard: Shard) -> int:
        """Bytes of the complete records in a shard's log."""
        return whole_bytes(self.folder / log_name(shard))

    def lost(self) -> list[str]:
        """Logs that were truncated or removed since their shards ended."""
        return [
            log_name(shard) for shard, attempts in self.shards().items() if self.log_bytes(shard) < attempts.log_bytes
        ]

    def _path(self, shard: Shard) -> Path:
        return self.folder / f"attempts-{shard[0]}-of-{shard[1]}.json"

    def shards(self) -> dict[Shard, Attempts]:
        """The state of every shard that ever started, for any number of shards."""
        names = (_ATTEMPTS.fullmatch(path.name) for path in self.folder.glob("attempts-*-of-*.json"))
        keys = sorted((int(name[1]), int(name[2])) for name in names if name)
        return {key: self.read(key) for key in keys}

    def complete(self) -> list[Attempts] | None:
        """The states of a complete set of finished shards; None if no set is complete."""
        shards = self.shards()
        for count in sorted({n for _, n in shards}):
            group = [shards[k, count] for k in range(count) if (k, count) in shards]
            if len(group) == count and all(one.done for one in group):
                return group
        return None

    def reached(self) -> dict[str, int]:
        """Progress so far: the finished `records`, or for a stage without records the `step` of the last point of its
        curves."""
        records = len(read_logs(self.folder))
        steps = [] if records else [int(point["step"]) for point in self.history() if "step" in point]
        return {"step": steps[-1]} if steps else {"records": records}

    def history(self) -> list[dict[str, Any]]:
        """All points of the curves. If a later attempt repeated steps, its points are used."""
        kept: list[dict[str, Any]] = []
        for path in sorted(self.folder.glob("history-*-of-*.jsonl")):
            kept += _last_told(list(read_json_lines(path, _Point)))
        return kept

    def _points(self, shard: Shard) -> list[dict[str, Any]]:
        return list(read_json_lines(self.folder / history_name(shard), _Point))


def history_name(shard: Shard) -> str:
    """File name of the curves of shard (k, n)."""
    return f"history-{shard[0]}-of-{shard[1]}.jsonl"


def _last_told(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    attempt = None
    for point in points:
        if point["attempt"] != attempt:
            attempt = point["attempt"]
            kept = [old for old in kept if old.get("step", -1) < point.get("step", 0)]
        kept.append(point)
    return [{name: value for name, value in point.items() if name != "attempt"} for point in kept]


def _set_aside(folder: Path) -> None:
    """Rename what is no file where one belongs, and no folder where one belongs, so that work can go on without it."""
    files = [path for names in _FILES for path in folder.glob(names) if not path.is_file()]
    for path in [*files, *(path for names in _FOLDERS for path in folder.glob(names) if not path.is_dir())]:
        aside = path.with_name(f"set-aside-{uuid.uuid4().hex[:8]}-{path.name}")
        os.rename(path, aside)
        what = "file" if path in files else "folder"
        print(f"{path.name} of {folder.name} is no {what}; it was set aside as {aside.name}", flush=True)


def open_partial(store: Store, node: StageNode, plan: Plan) -> Partial:
    """The node's progress folder, created if absent. Progress is discarded if an input's bytes have changed since, and
    set aside if that can no longer be told."""
    folder = store.partial(node)
    inputs = {plan.nodes[name].key: store.digest(plan.nodes[name]) for name in node.inputs}
    marker, old = folder / "inputs.json", None
    with guard(store.locks / "partial"):
        lease.require()
        if os.path.lexists(folder) and not folder.is_dir():
            print(f"{folder.name} is no folder; it was set aside in {store.quarantined(folder)}", flush=True)
        then = read_json(marker, dict[str, str | None])
        if then is None and os.path.lexists(marker):
            print(f"{folder.name} was set aside in {store.quarantined(folder)}", flush=True)
        elif folder.exists() and then != inputs:
            old = store.trashed(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_json(marker, inputs)
        _set_aside(folder)
    if old:  # outside the guard, for which every process of the store waits
        store.delete(old)
    return Partial(folder, lease.token())
