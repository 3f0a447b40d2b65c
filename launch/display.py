"""Output of a run: live lines on a terminal, plain lines with timestamps elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TextIO, cast

from data_gen.printable import printable
from reasoning_train.process.streams import Output

PLAIN_EVERY_S = 5.0
"""Minimum seconds between two plain progress lines of one stage."""


@dataclass(slots=True)
class ProgressMeter:
    """Progress of one running stage, summed over its shards."""

    name: str
    began: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)
    note: str = ""
    _shards: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _first: dict[str, int] = field(default_factory=dict)

    def update(self, job: str, event: Mapping[str, Any]) -> None:
        """Process a progress event of one job."""
        self._shards[job] = event
        self._first.setdefault(job, event["done"])
        self.note = ""

    def line(self) -> str:
        """`sample  120/512  14.2/s  0:28 left  loss 1.23`."""
        seconds = time.monotonic() - self.began
        if self.note or not self._shards:
            return f"{self.name}  {self.note or 'running'}  {clock(seconds)}"
        done = sum(event["done"] for event in self._shards.values())
        total = next(iter(self._shards.values()))["total"]
        rate = (done - sum(self._first.values())) / seconds if seconds > 0 else 0.0
        left = f"  {clock((total - done) / rate)} left" if total is not None and rate > 0 else ""
        return f"{self.name}  {done}/{'?' if total is None else total}  {rate:.1f}/s{left}{self._figures()}"

    def _figures(self) -> str:
        """The figures, summed over shards. A stage with curves has only one process, so its figures are shown as they
        are."""
        sums: dict[str, float] = {}
        for event in self._shards.values():
            for name, value in event["figures"].items():
                sums[name] = sums.get(name, 0) + value
        return "".join(
            f"  {name} {value:,}" if isinstance(value, int) else f"  {name} {value:.4g}" for name, value in sums.items()
        )


class Plain:
    """Lines with timestamps, for logs, pipes and CI."""

    def __init__(self, stream: Output) -> None:
        self.output = stream
        """Where everything goes."""
        self._meters: dict[str, ProgressMeter] = {}

    @property
    def lost(self) -> OSError | None:
        """Why nothing can be shown any more; None as long as somebody reads."""
        return self.output.lost

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""

    def say(self, text: str) -> None:
        """Print a message."""
        self.output.write(f"{time.strftime('%H:%M:%S')} {printable(text)}\n")
        self.output.flush()

    def start(self, node: str) -> None:
        """A stage starts."""
        self._meters[node] = ProgressMeter(node)

    def note(self, node: str, text: str) -> None:
        """Show a state instead of figures until the next progress event."""
        self._meters[node].note = text
        self.say(f"{node}  {text}")

    def progress(self, node: str, job: str, event: Mapping[str, Any]) -> None:
        """A stage has made progress."""
        meter = self._meters[node]
        meter.update(job, event)
        if time.monotonic() - meter.shown >= PLAIN_EVERY_S:
            meter.shown = time.monotonic()
            self.say(meter.line())

    def finish(self, node: str, text: str) -> None:
        """A stage ended."""
        self._meters.pop(node, None)
        self.say(f"{node}  {text}")

    def refresh(self) -> None:
        """Called in every iteration of the runner's loop."""


class Live(Plain):
    """One live line per running stage; finished stages scroll up."""

    def __init__(self, stream: Output) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(file=cast("IO[str]", stream), highlight=False)
        self._live = RichLive(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a message above the live lines."""
        self._console.print(printable(text), markup=False, soft_wrap=True)

    def note(self, node: str, text: str) -> None:
        """Show a state on the stage's line."""
        self._meters[node].note = text

    def progress(self, node: str, job: str, event: Mapping[str, Any]) -> None:
        """A stage has made progress."""
        self._meters[node].update(job, event)

    def refresh(self) -> None:
        """Redraw the lines."""
        from rich.text import Text

        self._live.update(Text("\n".join(printable(meter.line()) for meter in self._meters.values())))


def open_display(stream: TextIO | None = None) -> Plain:
    """Live lines on a terminal, plain lines elsewhere."""
    output = Output(stream or sys.stdout)
    return Live(output) if output.isatty() else Plain(output)


def clock(seconds: float) -> str:
    """`1:02:03`, `4:05` or `7.3 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
