"""Events are found whatever else two processes write into the same line."""

from __future__ import annotations

import json

from launch.events import parse_events

ONE, TWO = (
    {"event": "progress", "done": 3, "figures": {"loss": 0.5}},
    {"event": "error", "message": 'said {"event": "x"}'},
)


def test_lines_by_hand() -> None:
    assert parse_events("loading\n") == ([], "loading\n")
    assert parse_events(f"{json.dumps(ONE)}\n") == ([ONE], "\n")
    assert parse_events(f"{json.dumps(ONE)}{json.dumps(TWO)}\n") == ([ONE, TWO], "\n")
    assert parse_events(f"{{'loss': 1.0}}{json.dumps(TWO)}half a line") == ([TWO], "{'loss': 1.0}half a line")


def test_a_torn_event_is_text() -> None:
    assert parse_events('{"event": "prog\n') == ([], '{"event": "prog\n')
    assert parse_events(f'{{"event": "pro{json.dumps(ONE)}\n') == ([ONE], '{"event": "pro\n')
