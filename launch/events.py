"""Events of workers among what else they print. Several processes write into one pipe, so a line may hold more than
one."""

from __future__ import annotations

import json
from typing import Any

START = '{"event": '


def parse_events(line: str) -> tuple[list[dict[str, Any]], str]:
    """(the events of a line, what is left of it)."""
    events, rest = [], ""
    while (at := line.find(START)) >= 0:
        rest += line[:at]
        try:
            event, end = json.JSONDecoder().raw_decode(line, at)
        except ValueError:  # torn: text as any other
            rest, line = rest + line[at : at + len(START)], line[at + len(START) :]
            continue
        events.append(event)
        line = line[end:]
    return events, rest + line
