"""Forms of claims over arms whose accuracies rise unevenly, and one that differs by seed, five seeds by sixteen
problems."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasoning_train.evaluation.claims import CLAIM_FORMS
from reasoning_train.evaluation.names import SHARE
from reasoning_train.evaluation.verdicts import compare, findings
from tests.known_answers.cases import Settings, case

FORMS: dict[str, list[dict[str, Any]]] = {
    "difference": [
        {"better": "d", "than": "a"},
        {"better": "s", "than": "none"},
        {"better": "most", "than": "none"},
        {"better": "d", "than": "a", "control": "c", "margin": 0.25},
    ],
    "contrast": [{"weights": {"d": 1, "c": -1, "b": -1, "a": 1}}, {"weights": {"a": 2, "c": -1, "d": -1}}],
    "trend": [{"arms": ["a", "b", "c", "d"]}, {"arms": ["d", "b", "a"], "at": [1, 2, 8]}],
    "within": [{"arm": "a", "of": "b", "margin": 0.1}, {"arm": "b", "of": "a", "margin": 0.1}],
}
"""Settings under which a form says what others of it do not. s - none has the t interval, cut at 100 %; most - none the
score interval of one problem that differs."""

ARMS = {
    name: np.array([[float((problem + seed) % 16 < right) for problem in range(16)] for seed in range(5)])
    for name, right in {"a": 4, "b": 5, "c": 8, "d": 14, "none": 0}.items()
}
ARMS["s"] = np.array([[float(problem < right) for problem in range(16)] for right in (16, 16, 16, 16, 8)])
ARMS["most"] = np.array([[float(problem < 15) for problem in range(16)]] * 5)


@case("form of a claim", *FORMS)
def forms(name: str) -> list[Any]:
    """What each form finds under each setting."""
    found = []
    for more in FORMS[name]:
        statements = CLAIM_FORMS.get(name).model_validate({"uses": name, **more}).statements()
        made = [
            compare(each, "accuracy", ARMS, lower=lower, bounds=SHARE) for lower in (False, True) for each in statements
        ]
        found.append([[one.name, one.claim, one.verdict, one.to_json()["estimate"]] for one in findings(made, 5, 200)])
    return Settings(found)
