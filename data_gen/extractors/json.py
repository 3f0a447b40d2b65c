"""`json`: the last JSON value of the text."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Literal

from data_gen.extractors import EXTRACTORS
from data_gen.extractors.base import Extractor

_DECODER = json.JSONDecoder()
_OPENING = re.compile(r"[\[{]")


@EXTRACTORS.register("json")
class Json(Extractor):
    """`extract: json` or `{uses: json, field: result.answer}`: the last object or list, anywhere in the text. A value
    nested in another one does not count by itself."""

    version: ClassVar[int] = 1
    uses: Literal["json"] = "json"
    field: str | None = None
    """A dotted path into the object. Null: the whole value. Text is returned unchanged, anything else as JSON."""

    def find(self, text: str, answer_mark: str) -> str | None:
        """None if there is no JSON or it lacks the field."""
        found = None
        at = 0
        while (opening := _OPENING.search(text, at)) is not None:
            try:
                value, at = _DECODER.raw_decode(text, opening.start())
            except (ValueError, RecursionError):
                at = opening.end()
                continue
            inside = _reach(value, self.field)
            found = inside if inside is not None else found
        return None if found is None else found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _reach(value: Any, path: str | None) -> Any:
    for name in path.split(".") if path else ():
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
