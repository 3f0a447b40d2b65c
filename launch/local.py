"""The local runner: starts every stage whose inputs are finished, in its own processes, within the given number of
cores."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from launch.display import Plain, clock
from launch.endings import meaning, starvations
from launch.forked import ForkServer
from launch.job import Job
from launch.runs import RunFolder
from launch.torchrun import wants_torchrun
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.api.stage import STAGES
from reasoning_train.evaluation.figures import figures
from reasoning_train.store.partial import Partial
from reasoning_train.store.store import Store, dependencies
from reasoning_train.worker.work import TAKEN_OVER

INTERRUPTED = 130
OUTPUT_LOST = 141
"""What a shell reports of a program that SIGPIPE ended: nobody reads its output."""
TURN_S = 0.2
"""Maximum seconds to wait for events before the display is redrawn."""


@dataclass(slots=True)
class _Running:
    """A running node: first its shards, if it has several, then the job that merges and publishes."""

    node: StageNode
    threads: int
    """Intra-op threads of each process."""
    nproc: int = 1
    """Processes of a torchrun."""
    began: float = field(default_factory=time.monotonic)
    jobs: set[str] = field(default_factory=set)
    sharded: bool = False
    merging: bool = False
    outcome: str = ""
    error: str = ""
    log: str = ""


class LocalRunner:
    """Runs a plan once. `run` returns the exit code: 0, 1 (a stage failed), 130 (interrupted) or 141 (nobody reads the
    output).

    `nproc` above 1: each trainer, and each stage that runs a model over problems, runs as a torchrun of that many
    processes.
    """

    def __init__(self, plan: Plan, store: Store, folder: RunFolder, display: Plain, cores: int, nproc: int = 1) -> None:
        self.plan, self.store, self.folder, self.display, self.cores, self.nproc = (
            plan,
            store,
            folder,
            display,
            cores,
            nproc,
        )
        self.waiting = dict(plan.nodes)
        self.finished: set[str] = set()
        self.failed: dict[str, str] = {}
        self.running: dict[str, _Running] = {}
        self.lost: dict[str, float] = {}
        """Nodes whose artifact was found damaged in this run, and when."""
        self.again: set[str] = set()
        """Nodes that were put back for that."""
        self.queue: list[tuple[Job, str]] = []
        """Jobs waiting for free cores, with their node's name."""
        self.jobs: dict[str, Job] = {}
        self.interrupts = 0
        self._starved_before = starvations()

    def run(self) -> int:
        """Run until nothing more can run."""
        with _signals(self._interrupt), ForkServer(self.folder.logs / "fork_server.log") as server:
            while not self._stopping():
                self._look()
                self._launch(server)
                if not self.running:
                    break
                self._listen(server)
            if self._stopping():
                self._wind_down(server)
        return self._close()

    def _stopping(self) -> bool:
        """Whether the user has asked to stop, or is gone: nobody reads the output."""
        return bool(self.interrupts) or self.display.lost is not None

    def _look(self) -> None:
        """Move nodes whose dependencies are finished from waiting to finished (cached) or to the queue."""
        for name, node in list(self.waiting.items()):
            needs = dependencies(node)
            broken = [need for need in needs if need in self.failed]
            if broken:
                self._skip(node, broken[0])
            elif all(need in self.finished for need in needs):
                del self.waiting[name]
                self._enter(node)

    def _skip(self, node: StageNode, because: str) -> None:
        del self.waiting[node.name]
        self.failed[node.name] = ""
        self.folder.node(node.name, state="not run", error=f"needs {because}, which failed")
        self.display.finish(node.name, f"not run: needs {because}")

    def _enter(self, node: StageNode) -> None:
        state = self.store.state(node, self.plan)
        if state == "damaged" and (said := self.store.set_aside(node)):
            self.display.say(f"{node.name}  {said} and is made again")
        if state == "cached":
            self.finished.add(node.name)
            self.folder.node(node.name, state="cached")
            self.display.finish(node.name, f"cached{self._summary(node)}")
            return
        self._prepare(node)

    def _prepare(self, node: StageNode) -> None:
        threads = min(node.resources.get("threads") or 1, self.cores)
        nproc = self.nproc if self.nproc > 1 and wants_torchrun(node) else 1
        running = self.running[node.name] = _Running(node, threads, nproc)
        self.display.start(node.name)
        shards = 1 if nproc > 1 else self._shards(node, threads)
        running.sharded = shards > 1
        for k in range(shards):
            self._enqueue(running, (k, shards) if shards > 1 else None)

    def _shards(self, node: StageNode, threads: int) -> int:
        """As in the recipe, else as many as free cores allow. One for whole stages and if all records exist already."""
        stage = STAGES.get(node.uses)
        if stage.unit == "whole" or node.stop_gate or Partial(self.store.partial(node)).complete():
            return 1
        return int(node.resources.get("shards") or (1 if stage.alone(node.config) else max(1, self._free() // threads)))

    def _enqueue(self, running: _Running, shard: tuple[int, int] | None) -> None:
        node = running.node
        part = f".{shard[0]}-of-{shard[1]}" if shard else ""
        id = f"{node.name}{part or '.whole'}"
        log = self.folder.logs / f"{node.name}{part}.log"
        job = Job(
            id=id,
            plan=str(self.folder.plan_file),
            node=node.name,
            shard=shard,
            store=str(self.store.root),
            threads=running.threads,
            heavy=STAGES.get(node.uses).heavy and running.nproc == 1,
            log=str(log),
            nproc=running.nproc,
        )
        running.jobs.add(id)
        self.jobs[id] = job
        # A merge takes a moment and publishes what others wait for, so it does not stand behind the shards of others.
        self.queue.insert(0 if running.merging else len(self.queue), (job, node.name))

    def _free(self) -> int:
        queued = {job.id for job, _ in self.queue}
        return self.cores - sum(
            self._cores(one.threads, one.nproc) * len(one.jobs - queued) for one in self.running.values()
        )

    def _cores(self, threads: int, nproc: int) -> int:
        """Cores that a job uses. A job that wants more than there are gets all."""
        return min(self.cores, threads * nproc)

    def _launch(self, server: ForkServer) -> None:
        for job, name in list(self.queue):
            if self._cores(job.threads, job.nproc) <= self._free():
                self.queue.remove((job, name))
                self.folder.node(name, state="running", log=job.log)
                self.running[name].log = job.log
                server.submit(job)
        self.folder.save()

    def _listen(self, server: ForkServer) -> None:
        for event in server.events(TURN_S):
            self._hear(self.running[self.jobs[event["id"]].node], event, server)
        self.folder.beat()
        self.display.refresh()

    def _hear(self, running: _Running, event: dict[str, Any], server: ForkServer) -> None:
        kind, name = event["event"], running.node.name
        if kind == "progress":
            self.display.progress(name, f"{event['id']}.{event.get('rank', 0)}", event)
        elif kind == "waiting":
            self.display.note(name, f"waits for {event['owner']}, which works on the same artifact")
        elif kind == "outcome":
            running.outcome = event["outcome"]
        elif kind == "error":
            running.error = running.error or event["message"]
        elif kind == "exit":
            if event["code"] == TAKEN_OVER and not running.error:
                # By another run, while this one was frozen. The same job waits for that one, and takes its result.
                self.queue.append((self.jobs[event["id"]], name))
                return
            if event["code"] != 0:
                running.error = running.error or event.get("message") or meaning(event["code"], self._starved())
            self._job_ended(running, event["id"], server)

    def _starved(self) -> bool | None:
        """Whether the system has killed processes for want of memory since the run began; None if it does not tell."""
        now, before = starvations(), self._starved_before
        return None if now is None or before is None else now > before

    def _job_ended(self, running: _Running, job: str, server: ForkServer) -> None:
        name = running.node.name
        running.jobs.discard(job)
        if running.error:
            self._give_up(running, server)
        if running.jobs:
            return
        if running.error and self._put_back(running):
            return
        if running.error:
            del self.running[name]
            self._fail(name, running.error, running.log)
        elif running.sharded:
            running.sharded, running.merging = False, True
            self.display.note(name, "merging")
            self._enqueue(running, None)
        else:
            self._done(running)

    def _put_back(self, running: _Running) -> bool:
        """Whether a stage failed because an input of it was found damaged: then both are made again, once in a run."""
        node = running.node
        lost = [name for name in self.finished if self.store.state(self.plan.nodes[name], self.plan) != "cached"]
        self.finished -= set(lost)
        self.waiting |= {name: self.plan.nodes[name] for name in lost}
        self.lost |= dict.fromkeys(lost, time.monotonic())
        broken = [need for need in dependencies(node) if self.lost.get(need, 0.0) > running.began]
        if not broken or node.name in self.again:
            return False
        self.again.add(node.name)
        self.display.say(f"{node.name}  {running.error}\n  {', '.join(broken)} is made again now")
        del self.running[node.name]
        self.waiting[node.name] = node
        self.folder.node(node.name, state="waiting")
        return True

    def _give_up(self, running: _Running, server: ForkServer) -> None:
        """After a shard failed, stop its siblings and remove its waiting ones from the queue."""
        queued = {job.id for job, node in self.queue if node == running.node.name}
        self.queue = [(job, node) for job, node in self.queue if job.id not in queued]
        running.jobs -= queued
        for other in running.jobs:
            server.signal(signal.SIGTERM, other)

    def _done(self, running: _Running) -> None:
        name, wall = running.node.name, time.monotonic() - running.began
        del self.running[name]
        self.finished.add(name)
        self.folder.node(name, state=running.outcome, wall_s=round(wall, 3))
        said = {"ran": "done", "cached": "made by another run", "passed": "passed on: the rounds have stopped"}[
            running.outcome
        ]
        self.display.finish(name, f"{said} in {clock(wall)}{self._summary(running.node)}")

    def _summary(self, node: StageNode) -> str:
        artifact = self.store.find(node)
        if artifact is None:
            return ""
        rows = [f"{output['rows']} rows" for output in artifact.manifest["outputs"].values() if "rows" in output]
        return "".join(f", {fact}" for fact in [*rows[:1], *figures(artifact.manifest)])

    def _fail(self, name: str, message: str, log: str) -> None:
        self.failed[name] = message
        self.folder.node(name, state="failed", error=message)
        self.display.finish(name, f"failed: {message}" + (f"\n  log: {log}" if log else ""))

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self.interrupts:
            return  # a terminal that closes may send it more than once
        self.interrupts += 1

    def _wind_down(self, server: ForkServer) -> None:
        """Ask every job to stop, and wait. A second interrupt ends the wait; leaving the server then kills the rest.

        Jobs that still wait for a core were never submitted, so the server knows for whom to wait.
        """
        self.queue.clear()
        self.display.say("stopping; finished problems and checkpoints are kept (interrupt again to kill)")
        server.signal(signal.SIGTERM)
        while server.jobs and self.interrupts < 2:
            server.events(TURN_S)
            self.display.refresh()
        for name in self.running:
            self.folder.node(name, state="interrupted")

    def _close(self) -> int:
        if self.interrupts:
            return INTERRUPTED
        if self.waiting or self.running:
            return OUTPUT_LOST
        return 1 if self.failed else 0


@contextmanager
def _signals(handler: Any) -> Iterator[None]:
    """SIGINT, SIGTERM and the SIGHUP of a terminal that closes (except under `nohup`) go to `handler` while the run
    lasts."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def default_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
