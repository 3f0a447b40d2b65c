"""The result of encoding data for training, and checks of ids and prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data_gen.errors import UserError, excerpt
from reasoning_train.packing.rows import Row

if TYPE_CHECKING:
    from data_gen.format import StepCodec

LOST = ("too_long", "cut_by_length_limit")
"""Reasons that count towards `max_dropped`. Rows dropped for other reasons (weight 0, no target) were not meant to be
trained on."""


@dataclass(slots=True)
class Encoded:
    """Encoded rows: `Encoded(rows=[...], dropped=Counter(too_long=2), first={"too_long": "problem 'p7', 300 tokens,
    '37 + 8 ='"})`. No row is truncated. Dropped rows are counted, and the first one per reason is described."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Counts by reason. `too_long`: over the limit. `cut_by_length_limit`: cut when it was sampled, so it has no end to
    learn. `weight_0`: a wrong solution that is not to be imitated. `no_target`: no target where the head is read.
    `one_class`: nothing to compare."""
    first: dict[str, str] = field(default_factory=dict)
    """A description of the first row dropped for each reason."""

    def drop(self, reason: str, problem_id: str, pieces: Sequence[str], tokens: int) -> None:
        """Drop a row. `pieces`: its completion. `tokens`: its length with the prompt, 0 if it was not encoded."""
        self.dropped[reason] += 1
        if reason not in self.first:
            size = f"{tokens} tokens, " if tokens else ""
            self.first[reason] = f"problem {problem_id!r}, {size}{excerpt(''.join(pieces))}"

    def why(self, limit: int, *, lost: bool = False) -> str:
        """The number of dropped rows per reason, in words. `lost`: only reasons that `max_dropped` limits."""
        reasons = LOST if lost else [*LOST, *(reason for reason in self.dropped if reason not in LOST)]
        return ", ".join(f"{self.dropped[reason]} {_said(reason, limit)}" for reason in reasons)

    def offending(self, limit: int, *, lost: bool = False) -> str:
        """One sentence per reason that shows its first dropped row; empty if no row was dropped."""
        shown = {reason: row for reason, row in self.first.items() if reason in LOST or not lost}
        return "".join(f" The first {_said(reason, limit)}: {row}." for reason, row in shown.items())

    def __add__(self, other: Encoded) -> Encoded:
        """The rows of both, in order."""
        return Encoded(self.rows + other.rows, self.dropped + other.dropped, other.first | self.first)


Refuse = Callable[[str, object, str], UserError]
"""(field, its value, what was expected) -> the error."""


def check_ids(field_: str, ids: Sequence[int], vocabulary: int, refuse: Refuse) -> None:
    """Raise the error of `refuse` if there are no ids or some are outside the vocabulary."""
    if not ids:
        raise refuse(field_, ids, "at least one token: an empty one teaches nothing. Drop the row")
    if not (min(ids) >= 0 and max(ids) < vocabulary):
        wrong = next(i for i in ids if not 0 <= i < vocabulary)
        raise refuse(
            field_, wrong, f"ids from 0 to {vocabulary - 1}, the model's vocabulary. It was made with another tokenizer"
        )


def prompt_texts(ids: Sequence[int], codec: StepCodec, length: int | None = None) -> tuple[str, str]:
    """The text of a prompt's ids, without and with special tokens. A prompt's text contains the special tokens of a
    template, but not those that a tokenizer adds before a plain prompt.

    `length`: number of ids that are the question's. The rest is the beginning of a completion, and reads as one."""
    asked, begun = ids[:length], codec.decode(ids[length:]) if length is not None else ""
    shown = codec.tokenizer.backend_tokenizer.decode(asked, skip_special_tokens=False)
    return (codec.decode(asked) + begun).strip(), (shown + begun).strip()


def check_prompt(problem_id: str, drawn: Sequence[int], asked: Sequence[int], codec: StepCodec, *, mend: str) -> None:
    """UserError if a row was sampled with another prompt than this model gets: the model would be trained on prompts
    that it never sees."""
    if tuple(drawn) != tuple(asked):
        was, now = (codec.decode(ids)[-80:] for ids in (drawn, asked))
        told = f"{was!r}, but this model is asked {now!r}" if was != now else f"other tokens of {now!r}"
        raise UserError(
            f"Problem {problem_id!r}: its row was made behind {told}. Their tokenizers, templates, system texts or "
            f"`plain_suffix` differ. {mend}."
        )


def _said(reason: str, limit: int) -> str:
    return {
        "too_long": f"over max_length={limit} tokens",
        "cut_by_length_limit": "cut when sampled",
        "weight_0": "of weight 0",
        "no_target": "without a target where the head is read",
        "one_class": "of problems whose paths are all right or all wrong",
    }[reason]
