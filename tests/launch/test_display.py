"""What a run shows of its progress."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from launch.display import Live, Plain, ProgressMeter, clock, open_display


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def event(done: int, total: int | None, **figures: float) -> dict[str, Any]:
    return {"event": "progress", "done": done, "total": total, "figures": figures}


@pytest.mark.parametrize(("seconds", "text"), [(7.31, "7.3 s"), (60, "1:00"), (245.9, "4:05"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_line_sums_over_shards() -> None:
    meter = ProgressMeter("sample")
    meter.update("sample.0-of-2", event(3, 15, tokens=1200))
    meter.update("sample.1-of-2", event(2, 15, tokens=34))
    meter.update("sample.0-of-2", event(4, 15, tokens=1300))
    assert re.fullmatch(r"sample  6/15  [\d.]+/s  .+ left  tokens 1,334", meter.line())


def test_curves_are_short_and_an_unknown_total_is_said() -> None:
    meter = ProgressMeter("base")
    meter.update("base.whole", event(10, None, loss=0.123456))
    assert re.fullmatch(r"base  10/\?  [\d.]+/s  loss 0\.1235", meter.line())


def test_before_the_first_event_a_stage_is_running_and_a_note_stands_until_the_next() -> None:
    meter = ProgressMeter("kept")
    assert meter.line().startswith("kept  running  ")
    meter.note = "merging"
    assert meter.line().startswith("kept  merging  ")
    meter.update("kept.whole", event(1, 2))
    assert "merging" not in meter.line()


def test_files_get_lines_with_timestamps_and_terminals_live_ones() -> None:
    stream = io.StringIO()
    with open_display(stream) as display:
        assert type(display) is Plain
        display.start("a")
        display.finish("a", "done in 1.0 s, [bold]3 rows")
    assert re.fullmatch(r"\d\d:\d\d:\d\d a  done in 1\.0 s, \[bold\]3 rows\n", stream.getvalue())
    terminal = Terminal()
    with open_display(terminal) as display:
        assert type(display) is Live
        display.start("a")
        display.progress("a", "a.whole", event(1, 4))
        display.refresh()
        display.finish("a", "done in 1.0 s, [bold]3 rows")
    assert "a  1/4" in terminal.getvalue()
    assert "a  done in 1.0 s, [bold]3 rows" in terminal.getvalue()
