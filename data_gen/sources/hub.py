"""The format of a repository name on the Hugging Face Hub. It is checked before any lookup."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_ID = re.compile(r"[A-Za-z0-9_](?:[\w.-]*\w)?(?:/[A-Za-z0-9_](?:[\w.-]*\w)?)?", re.ASCII)


def checked_id(name: str) -> str:
    """`name`, if it looks like `openai/gsm8k` or `gpt2`. ValueError for anything else, such as a path."""
    if not _ID.fullmatch(name):
        raise ValueError(
            f"expected a name on the Hub such as 'openai/gsm8k', got {name!r}; name a local folder or file with `path:`"
        )
    return name


HubId = Annotated[str, AfterValidator(checked_id)]
"""Type of `hub:` fields."""
