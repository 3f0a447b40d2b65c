"""The work of one process on one node: claim it, run the stage, record, merge, close and publish."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from data_gen.errors import LoadError, UserError
from data_gen.models.elsewhere import note_place
from data_gen.sandbox import tiers
from data_gen.tasks import Task
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES, GateError, Input, StageDef
from reasoning_train.process import ranks, stopping
from reasoning_train.store.append_log import LogIndex, read_logs
from reasoning_train.store.card import drop_cards, write_cards
from reasoning_train.store.code import imported_from, modules_in
from reasoning_train.store.disk import explain_disk
from reasoning_train.store.inputs import build_task, read_tasks
from reasoning_train.store.manifest import FILE_NAME, describe_machine, describe_node, describe_output
from reasoning_train.store.ownership import claim
from reasoning_train.store.partial import Attempts, Partial, open_partial
from reasoning_train.store.rows import Rows, write_rows
from reasoning_train.store.sources import sources_of
from reasoning_train.store.state_files import write_json
from reasoning_train.store.store import DamagedArtifact, Store, dependencies
from reasoning_train.store.verified import Look
from reasoning_train.worker.context import Report, WorkerContext
from reasoning_train.worker.overlap import notes_of, overlaps

Outcome = Literal["cached", "recorded", "passed", "ran"]
WHOLE = (0, 1)
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib")


def run_node(
    plan: Plan,
    name: str,
    store: Store,
    *,
    report: Report,
    shard: tuple[int, int] | None = None,
    threads: int = 1,
    merge_only: bool = False,
) -> Outcome:
    """Run a node of a plan and publish its artifact, or record one shard (k, n) of it.

    Waits while another process works on the same node, and returns `cached` if that one finished it. `passed` means
    that the rounds have stopped and the artifact points to the previous round. `merge_only`: every shard must have been
    recorded. Raises UserError (including GateError) for what the user must fix, and Stopped if a signal asked for it.
    """
    node = plan.nodes[name]
    with (
        explain_disk(store.root),
        claim(store, node, plan, shard, lambda owner: report({"event": "waiting", "owner": str(owner)})) as mine,
    ):
        if not mine:
            return "cached"
        target = _passes_to(plan, node, store)
        if target is not None:
            return _publish_pointer(plan, node, target, store) if shard is None else "passed"
        _note_places(plan, store)
        if merge_only:
            _require_all_shards(node, store)
        with _sound_inputs(plan, node, store):
            return _Work(plan, node, store, shard, threads, report).run()


def _note_places(plan: Plan, store: Store) -> None:
    """Note where the folders are that the recipe names, since artifacts of the store refer to them by their bytes."""
    for path, sha256 in {item for node in plan.nodes.values() for item in node.files.items()}:
        if Path(path).is_dir():
            note_place(store.root, sha256, Path(path))


@contextlib.contextmanager
def _sound_inputs(plan: Plan, node: StageNode, store: Store) -> Iterator[None]:
    """Whatever fails, look whether an input is damaged, and set it aside, so that the next run makes it again. If it
    failed to load, read every byte."""
    try:
        yield
    except GateError:
        raise
    except Exception as error:
        look: Look = "afresh" if isinstance(error, LoadError) else "once"
        found = [said for name in dependencies(node) if (said := store.set_aside(plan.nodes[name], look))]
        if not found:
            raise
        first = "" if isinstance(error, DamagedArtifact) else f"{type(error).__name__}: {error} Its cause: "
        raise UserError(f"{first}{'. '.join(found)}. Run the recipe again: it is made again.") from error


def _require_all_shards(node: StageNode, store: Store) -> None:
    partial = Partial(store.partial(node))
    if partial.complete() is not None:
        return
    shards = partial.shards()
    count = max((n for _, n in shards), default=0)
    open_ = [k for k in range(count) if (k, count) not in shards or not shards[k, count].done]
    said = (
        f"{len(open_)} of {count} shards are unfinished: {', '.join(map(str, open_[:20]))}"
        if count
        else "no shard has begun"
    )
    raise UserError(
        f"{node.name}: {said}. Run them first (`--shard K/N`), or leave out --merge-only to do here what is missing."
    )


class _Work:
    """One attempt at a node by the process that holds its claim."""

    def __init__(
        self, plan: Plan, node: StageNode, store: Store, shard: tuple[int, int] | None, threads: int, report: Report
    ) -> None:
        self.plan, self.node, self.store, self.shard = plan, node, store, shard
        self.stage: StageDef = STAGES.get(node.uses)
        self.config = self.stage.config.model_validate(node.config)
        self.partial: Partial = open_partial(store, node, plan)
        self.attempts: Attempts = self.partial.read(shard or WHOLE)
        self.ctx = WorkerContext(
            plan=plan,
            node=node,
            stage=self.stage,
            store=store,
            partial=self.partial,
            shard=shard or WHOLE,
            threads=threads,
            attempt=self.attempts.number + 1,
            report=report,
        )

    def run(self) -> Outcome:
        """Run the stage's function unless its work is already recorded. Then merge and publish, unless this is a
        shard."""
        if self.shard is None:
            self.partial.forget_others()
        for name in self.partial.lost():
            print(f"{name} has lost records since its shard ended; they are made again", flush=True)
        try:
            if not self._recorded():
                self._record()
            if self.shard is not None:
                return "recorded"
            self.began = time.monotonic()
            self._publish(self._merge())
            return "ran"
        finally:
            self.ctx.close()

    def _recorded(self) -> bool:
        """Whether earlier processes have completed the stage's function on everything that this process has to do."""
        if self.stage.unit == "whole":
            return False
        if self.shard is not None:
            return self.attempts.done
        return self.partial.complete() is not None and not read_logs(self.partial.folder).corrupt

    def _record(self) -> None:
        for said in self.config.placement_problems(ranks.world_size(), self.ctx.deepspeed):
            raise GateError(said)
        began = time.monotonic()
        part = self.shard or WHOLE
        self.attempts.number += 1
        self.attempts.started = self.attempts.started or time.time()
        self.attempts.done = False
        self.partial.save(part, self.attempts)
        prepare_process(self.ctx.seed, self.ctx.threads, heavy=self.stage.heavy)
        if self.stage.unit == "whole" and not self.stage.distributed:
            stopping.at_once()
        ranks.start_others(True)
        self._require_sandbox()
        before = imported_from(self._roots())  # now: a file may be edited while its module runs
        try:
            self.stage.run(self.config, self.ctx)
            self.ctx.close()
            if self.ctx.cut_short:
                raise stopping.Stopped
            self.attempts.done, self.attempts.log_bytes = True, self.partial.log_bytes(part)
        finally:
            self.attempts.wall_s += time.monotonic() - began
            if tiers.USED:
                self.ctx.metric("sandbox", sorted(tiers.USED))
            self.attempts.modules = {**imported_from(self._roots()), **before}
            # Move counts and metrics to the state, apart from what the finishing function adds later.
            self.attempts.counts, self.attempts.metrics = dict(self.ctx.counts), dict(self.ctx.metrics)
            self.ctx.counts.clear()
            self.ctx.metrics.clear()
            self.partial.save(part, self.attempts)

    def _require_sandbox(self) -> None:
        """A stage that generates and would run the programs that come out ends before it loads a model, if no sandbox
        holds here."""
        tiers.USED.clear()
        if hasattr(self.config, "engine") and any(task.runs_programs for task in self._tasks()):
            tiers.require()

    def _roots(self) -> list[str]:
        """The modules of the stage, of the pieces in its config and of the tasks of its problems."""
        return [__name__, self.stage.run.__module__, *modules_in([self.config, *self._tasks()])]

    def _tasks(self) -> Iterator[Task]:
        """The tasks of `problems` inputs. Unreadable ones are skipped; the stage reports them if it reads them."""
        for artifact in filter(None, (self.store.find(self.plan.nodes[name]) for name in self.node.inputs)):
            for output, described in artifact.manifest["outputs"].items():
                if described["kind"] == "problems":
                    source = Input(path=artifact.path / output, kind="problems", manifest=artifact.manifest)
                    with contextlib.suppress(OSError, ValueError, UserError):
                        yield from [build_task(task) for task in read_tasks(source).values()]

    def _merge(self) -> LogIndex:
        index = read_logs(self.partial.folder)
        if self.stage.unit == "problem":
            main = self.ctx.output(self.stage.main)
            write_rows(main, self._kinds()[self.stage.main], _Merged(index))
            if self.stage.after is not None:
                self.stage.after(self.config, self.ctx, Rows(main))
        return index

    def _publish(self, index: LogIndex) -> None:
        out = self.partial.out
        missing = [name for name in self.stage.outputs if not (out / name).is_dir()]
        if missing:
            raise RuntimeError(f"stage {self.stage.name!r} returned without writing its output {missing[0]!r}")
        pickles = [path for path in out.rglob("*") if path.suffix in _PICKLES]
        if pickles:
            raise RuntimeError(
                f"stage {self.stage.name!r} wrote {pickles[0].relative_to(out)}; artifacts hold no pickles"
            )
        drop_cards(out, self._kinds())
        outputs = {name: describe_output(out / name, kind) for name, kind in self._kinds().items()}
        manifest = {**describe_node(self.node, self.plan), **self._made(index), "outputs": outputs}
        manifest["sources"] = sources_of(self.node, self._kinds().values(), self._input_manifests())
        manifest["lessons"] = list(self.node.lessons)
        self._note(manifest, {described["kind"] for described in outputs.values()})
        _close_folder(out, manifest, self.partial.history())
        self.store.publish(self.node, out)

    def _note(self, manifest: dict[str, Any], kinds: set[str]) -> None:
        """Enter what the artifact and its table say of evaluated problems that were learned from."""
        notes, metrics = list(self.node.notes), manifest["metrics"]
        if "table" in kinds:
            metrics["overlap"] = overlaps(self.plan, self.node, self.store)
            notes += notes_of(metrics["overlap"])
        if "verdict" in kinds:  # a claim repeats what its tables say
            tables = [self.store.open(self.plan.nodes[name]).manifest for name in self.node.inputs]
            notes += [note for table in tables for note in table.get("notes", ())]
        manifest["notes"] = list(dict.fromkeys(notes))
        if manifest["notes"] and "table" in metrics:
            metrics["table"]["notes"] = manifest["notes"]

    def _input_manifests(self) -> list[Mapping[str, Any]]:
        return [self.store.open(self.plan.nodes[name]).manifest for name in self.node.inputs]

    def _kinds(self) -> dict[str, str]:
        return self.stage.kinds(self.config, lambda ref: self.ctx.input(ref).kind)

    def _made(self, index: LogIndex) -> dict[str, Any]:
        states = self.partial.complete() or []
        metrics = {name: value for state in states for name, value in state.metrics.items()}
        every = self.partial.shards().values()
        modules = {name: code for state in states for name, code in state.modules.items()}
        return {
            "inputs": _inputs(self.plan, self.node, self.store),
            **describe_machine(self.ctx.threads, dict(sorted(modules.items()))),
            "started": min(state.started for state in every),
            "wall_s": round(max(state.wall_s for state in every) + time.monotonic() - self.began, 3),
            "process_s": round(sum(state.wall_s for state in every) + time.monotonic() - self.began, 3),
            "attempts": sum(state.number for state in every),
            "counts": dict(sorted((Counter(index.counts) + _sum(states) + self.ctx.counts).items())),
            "metrics": {**metrics, **self.ctx.metrics},
            "log": {"records": len(index), "duplicates": index.duplicates, "corrupt": index.corrupt},
        }


def _sum(states: list[Attempts]) -> Counter[str]:
    return sum((Counter(state.counts) for state in states), Counter())


class _Merged:
    """All rows of the logs by (order, position). Unlike a generator, it can be iterated again."""

    def __init__(self, index: LogIndex) -> None:
        self.index = index

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for rows in self.index.records():
            yield from rows


def _close_folder(out: Path, manifest: dict[str, Any], history: list[dict[str, Any]]) -> None:
    write_cards(out, manifest)
    if history:
        (out / "history.jsonl").write_text("".join(json.dumps(point) + "\n" for point in history), encoding="utf-8")
    write_json(out / FILE_NAME, manifest)


def _inputs(plan: Plan, node: StageNode, store: Store) -> dict[str, Any]:
    return {
        name: {"key": plan.nodes[name].key, "digest": store.digest(plan.nodes[name])} for name in dependencies(node)
    }


def _passes_to(plan: Plan, node: StageNode, store: Store) -> StageNode | None:
    """The node of the previous round if the stop rule has fired, else None."""
    if node.stop_gate is None or node.previous is None:
        return None
    gate = store.open(plan.nodes[node.stop_gate])
    decision = json.loads(
        (gate.path / next(iter(gate.manifest["outputs"])) / "decision.json").read_text(encoding="utf-8")
    )
    return plan.nodes[node.previous] if decision["stop"] else None


def _publish_pointer(plan: Plan, node: StageNode, target: StageNode, store: Store) -> Outcome:
    out = open_partial(store, node, plan).out
    out.mkdir(exist_ok=True)
    store.open(target)
    pointer = {"uses": target.uses, "key": target.key}
    made = {
        "inputs": _inputs(plan, node, store),
        **describe_machine(1, imported_from([__name__])),
        "started": time.time(),
        "wall_s": 0.0,
        "attempts": 1,
    }
    empty: dict[str, Any] = {"counts": {}, "metrics": {}, "outputs": {}}
    _close_folder(out, {**describe_node(node, plan), **made, **empty, "pointer": pointer}, [])
    store.publish(node, out)
    return "passed"


def prepare_process(seed: int, threads: int, *, heavy: bool) -> None:
    """Seed all random generators that a library may use, and set the number of intra-op threads."""
    import numpy

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    if heavy:
        import torch

        torch.manual_seed(seed)
        torch.set_num_threads(threads)
