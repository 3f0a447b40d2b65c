"""How lm-evaluation-harness finds and compares the answers of its GSM8K tasks (its versions 0.4.x: `gsm8k` 3.0).

The strings are those of the tasks' YAML. Numbers are compared as texts: `18.00` is not `18`.
"""

from __future__ import annotations

import re
from typing import Literal

GsmTask = Literal["gsm8k", "gsm8k_cot"]
STRICT: dict[GsmTask, str] = {
    "gsm8k": r"#### (\-?[0-9\.\,]+)",
    "gsm8k_cot": r"The answer is (\-?[0-9\.\,]+).",
}
"""`strict-match`: its first match counts."""
FLEXIBLE = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
"""`flexible-extract` of both tasks: its last match counts, even if it is a `$.` of punctuation."""
_IGNORED = (",", r"\$", r"(?s).*#### ", r"\.$")
"""`regexes_to_ignore` of the metric `exact_match`, in the order in which they are removed."""


def cleaned(text: str) -> str:
    """A gold solution or an answer as `exact_match` compares it.

    >>> cleaned("She has 1,200 left.\\n#### $1,200."), cleaned("18.00")
    ('1200', '18.00')
    """
    for pattern in _IGNORED:
        text = re.sub(pattern, "", text)
    return text.lower()
