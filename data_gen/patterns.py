"""A field of a config that holds a regular expression of Python."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression of Python: {error}; got {pattern!r}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""Flags are written in it: `(?i)`, `(?m)`, `(?s)`."""
