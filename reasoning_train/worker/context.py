"""The `Context` that a stage function receives: inputs, outputs, records, counts and progress of one process."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.errors import UserError
from data_gen.models.elsewhere import note_place
from reasoning_train.api.digest import path_digest
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Input, StageDef
from reasoning_train.process import lease, stopping
from reasoning_train.store.append_log import LogIndex, LogWriter, append_line, log_name, read_logs
from reasoning_train.store.partial import Partial, history_name
from reasoning_train.store.store import Store
from reasoning_train.worker.earlier import earlier

Report = Callable[[dict[str, Any]], None]
"""Receives events for the runner: `{"event": "progress", "done": 3, "total": 10, "figures": {...}}`. `total` counts
over all shards."""

TELL_S = 0.25
"""Minimum seconds between two progress events of one process."""


class WorkerContext:
    """Implements `api.stage.Context` for one process that works on a node or on one shard of it."""

    def __init__(
        self,
        *,
        plan: Plan,
        node: StageNode,
        stage: StageDef,
        store: Store,
        partial: Partial,
        shard: tuple[int, int],
        threads: int,
        attempt: int,
        report: Report,
    ) -> None:
        self.seed = node.seed or 0
        self.shard, self.threads = shard, threads
        self.deepspeed: str | None = node.resources.get("deepspeed")
        self.partial = partial.work(shard)
        self.counts: Counter[str] = Counter()
        """Counts that are not yet saved with a record."""
        self.metrics: dict[str, Any] = {}
        self._node = node
        self._plan, self._stage, self._store, self._progress_folder = plan, stage, store, partial
        self._attempt, self._report = attempt, report
        self._opened: set[str] = set()
        self._log: LogWriter | None = None
        self._index: LogIndex | None = None
        self.cut_short = False
        """Whether `pending` withheld items because this process was asked to stop."""
        self._told = 0.0
        self._group_size = 1
        self._found = 0
        """Items that `pending` skipped because an earlier attempt recorded them."""

    def input(self, ref: Ref) -> Input:
        """The finished artifact behind a reference, pass-throughs followed."""
        artifact = self._store.open(self._plan.nodes[ref.node])
        outputs = artifact.manifest["outputs"]
        name = ref.output or next(iter(outputs))
        return Input(path=artifact.path / name, kind=outputs[name]["kind"], manifest=artifact.manifest)

    def earlier(self) -> tuple[int, Input] | None:
        """The rows of an artifact that asked for less of the same. The manifest's `continues` names it."""
        config = self._stage.config.model_validate(self._node.config)
        found = earlier(self._plan, self._node, config, self._store)
        if found is None:
            return None
        number, artifact = found
        main = self._stage.main
        self.metric("continues", {"key": artifact.manifest["key"], self._stage.grows: number})
        return number, Input(artifact.path / main, artifact.manifest["outputs"][main]["kind"], artifact.manifest)

    def output(self, name: str) -> Path:
        """The folder of output `name`, emptied when this attempt first asks for it."""
        if name not in self._stage.outputs:
            raise ValueError(
                f"stage {self._stage.name!r} declares no output {name!r}, only {', '.join(self._stage.outputs)}"
            )
        folder = self._progress_folder.out / name
        lease.require()
        if name not in self._opened:
            self._opened.add(name)
            if folder.exists():
                self._store.discard(folder)
            folder.mkdir(parents=True)
        return folder

    def place(self, path: Path) -> str:
        """The sha256 of a file or folder outside the store, which notes where it lies."""
        sha256 = self._node.files.get(os.path.abspath(path)) or path_digest(path)
        note_place(self._store.root, sha256, path)
        return sha256

    def pending(self, items: Iterable[tuple[str, Any]], *, group_size: int = 1) -> Iterator[tuple[int, str, Any]]:
        """(order, key, item) of this shard's items that are in no log yet. It ends early if this process is asked to
        stop."""
        k, n = self.shard
        self._group_size = group_size
        index, orders = self._logs(), dict[str, int]()
        for order, (key, item) in enumerate(items):
            recorded = index.order_of(key)
            self._check_unique(key, order, orders.setdefault(key, order), recorded)
            if order // group_size % n != k:
                continue
            if recorded is None:
                if stopping.asked():
                    self.cut_short = True
                    return
                yield order, key, item
            else:
                self._found += 1

    def _check_unique(self, key: str, order: int, *others: int | None) -> None:
        """UserError if two items have the same key, since only one of their records would be kept."""
        for other in others:
            if other not in (None, order):
                raise UserError(
                    f"Two items of stage {self._stage.name!r} have the key {key!r}, at {other} and {order}; keys must "
                    "be unique. Check the ids of its problems."
                )

    def record(self, order: int, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append a finished problem to this shard's log, together with the counts since the last record."""
        if self._log is None:
            self._log = LogWriter(self._progress_folder.folder / log_name(self.shard))
        self._log.append(order, key, rows, self.counts)
        self.counts.clear()

    def progress(self, done: int, total: int | None, **figures: float) -> None:
        """Report progress to the runner, at most every `TELL_S` seconds and always at the end."""
        now, mine = time.monotonic(), self._found + done
        if now - self._told >= TELL_S or mine == self._share(total):
            self._told = now
            self._report({"event": "progress", "done": mine, "total": total, "figures": figures})

    def _share(self, total: int | None) -> int | None:
        """How many of `total` items are this shard's."""
        return None if total is None else share_of(total, self.shard, self._group_size)

    def metric(self, name: str, value: Any) -> None:
        """Put a JSON value into the manifest's metrics."""
        json.dumps(value)
        self.metrics[name] = value

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter. It is saved with the next record, so that nothing is counted twice after a kill."""
        self.counts[name] += n

    def history(self, **figures: float) -> None:
        """Append one point to the stage's curves."""
        point = json.dumps({"attempt": self._attempt, **figures})
        append_line(self._progress_folder.folder / history_name(self.shard), f"{point}\n".encode())

    def close(self) -> None:
        """Force the log to disk."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _logs(self) -> LogIndex:
        if self._index is None:
            self._index = read_logs(self._progress_folder.folder, quarantine=True)
            for place in self._index.corrupt:
                print(f"corrupt record at {place} set aside in quarantine.txt; its problem is made again", flush=True)
        return self._index


def share_of(total: int, shard: tuple[int, int], group_size: int = 1) -> int:
    """How many of `total` items shard (k, n) has, if groups of `group_size` consecutive items are never split."""
    k, n = shard
    groups = -(-total // group_size)
    missing = groups * group_size - total if groups and (groups - 1) % n == k else 0  # the last group may be short
    return len(range(k, groups, n)) * group_size - missing


class FollowerContext(WorkerContext):
    """Context of the other processes of a torchrun in distributed training. They read inputs and share the trainer's
    folder, but publish nothing."""

    def __init__(
        self, plan: Plan, node: StageNode, stage: StageDef, store: Store, partial: Partial, threads: int
    ) -> None:
        super().__init__(
            plan=plan,
            node=node,
            stage=stage,
            store=store,
            partial=partial,
            shard=(0, 1),
            threads=threads,
            attempt=0,
            report=lambda event: None,
        )

    def output(self, name: str) -> Path:
        """The folder that the first process writes; other processes must not write there."""
        return self._progress_folder.out / name

    def record(self, order: int, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Nothing: the first process records."""

    def progress(self, done: int, total: int | None, **figures: float) -> None:
        """Nothing: the first process reports."""

    def history(self, **figures: float) -> None:
        """Nothing: the first process draws the curves."""
