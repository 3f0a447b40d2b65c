"""Separates the events of workers from their other output. Several processes write to one pipe, so a line may have
several events."""

from __future__ import annotations

import json
from typing import Any

START = '{"event": '


def parse_events(line: str) -> tuple[list[dict[str, Any]], str]:
    """(the events of a line, the rest of the line)."""
    events, rest = [], ""
    while (at := line.find(START)) >= 0:
        rest += line[:at]
        try:
            event, end = json.JSONDecoder().raw_decode(line, at)
        except ValueError:  # incomplete: treat it as text
            rest, line = rest + line[at : at + len(START)], line[at + len(START) :]
            continue
        events.append(event)
        line = line[end:]
    return events, rest + line
