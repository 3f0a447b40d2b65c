"""math-verify's metric, as `evaluate_model_outputs.py` of its repository calls it. For the checker process: sympy may
hang, and its limits take the place of the library's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from data_gen.errors import UserError, first_line

PRECISION = 6
"""Decimal places that count, as in that script."""


def load() -> None:
    """Import the library. UserError if it is not installed, or lacks the parser that it needs."""
    try:
        from latex2sympy2_extended import latex2sympy  # noqa: F401
        from math_verify import parse  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"grader: 'math_verify' needs the library math-verify, which does not import ({first_line(error)}). "
            "Install it with `pip install 'math-verify[antlr4_13_2]>=0.9'`, or name another grader."
        ) from None


def reads(gold: str) -> bool:
    """Whether the library finds a value in gold."""
    return bool(_gold(gold))


def right(gold: str, text: str) -> bool:
    """Whether a completion gives gold."""
    return _verified(_gold(gold), _said(text))


def same(one: str, other: str) -> bool:
    """Whether two completions give one answer, each taken for gold."""
    first, second = _said(one), _said(other)
    return bool(first and second) and _verified(first, second) and _verified(second, first)


@lru_cache(maxsize=1)
def _gold(text: str) -> Any:
    """What gold says, as LaTeX in a box unless it brings one."""
    from math_verify.parser import LatexExtractionConfig, parse

    written = text if "\\boxed" in text else f"\\boxed{{{text}}}"
    return parse(written, (LatexExtractionConfig(),), parsing_timeout=None)


def _said(text: str) -> Any:
    from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig, parse

    return parse(text, (ExprExtractionConfig(), LatexExtractionConfig()), parsing_timeout=None)


def _verified(gold: Any, said: Any) -> bool:
    from math_verify.grader import verify

    return bool(verify(gold, said, PRECISION, timeout_seconds=None))
