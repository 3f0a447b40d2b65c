"""Extractors: what each finds in a few completions."""

from __future__ import annotations

from typing import Any

from data_gen.extractors import EXTRACTORS
from tests.known_answers.cases import Settings, case

SAID = (
    "12 + 5 = 17\nSo \\boxed{\\frac{1}{2}}\nAnswer: 17.\n",
    'I try:\n```python\ndef f():\n    return -3\n```\nand {"steps": [1, 2], "answer": {"x": "7"}} or [4',
    "Answer: \nabout $1,200.50 in 3-5 days",
    "  ",
)
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "boxed": [{}],
    "code_block": [{}, {"language": "c"}],
    "json": [{}, {"field": "answer.x"}],
    "last_number": [{}],
    "mark": [{}, {"mark": "So "}],
    "regex": [{"pattern": "= (\\d+)|[a-z]+"}, {"pattern": "= (\\d+)|[a-z]+", "which": "first"}],
    "whole": [{}],
}


@case("extractor", *OPTIONS)
def extractor(name: str) -> Any:
    """With and without options."""
    made = [EXTRACTORS.get(name).model_validate({"uses": name, **options}) for options in OPTIONS[name]]
    return Settings([one.find(text, "Answer: ") for text in SAID] for one in made)
