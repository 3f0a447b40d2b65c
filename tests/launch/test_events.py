"""Events are found whatever else two processes write into the same line."""

from __future__ import annotations

import json

from launch.events import split

ONE, TWO = {"event": "progress", "done": 3, "figures": {"loss": 0.5}}, {"event": "error", "message": 'said {"event": "x"}'}


def test_lines_by_hand() -> None:
    assert split("loading\n") == ([], "loading\n")
    assert split(f"{json.dumps(ONE)}\n") == ([ONE], "\n")
    assert split(f"{json.dumps(ONE)}{json.dumps(TWO)}\n") == ([ONE, TWO], "\n")
    assert split(f"{{'loss': 1.0}}{json.dumps(TWO)}half a line") == ([TWO], "{'loss': 1.0}half a line")


def test_a_torn_event_is_text() -> None:
    assert split('{"event": "prog\n') == ([], '{"event": "prog\n')
    assert split(f'{{"event": "pro{json.dumps(ONE)}\n') == ([ONE], '{"event": "pro\n')
