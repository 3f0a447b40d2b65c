"""Solutions to training rows: prompt ids of the policy's own codec, completion ids as sampled or encoded once."""

from __future__ import annotations

from collections.abc import Iterable

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records import Segment, Solution
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.encoded import CHECKED_ROWS, Encoded


def encode_solutions(solutions: Iterable[Solution], codec: StepCodec, max_length: int) -> Encoded:
    """Rows of whole solutions that end with the stop token. Cut, over-long and weightless ones are counted and left out, none truncated."""
    result = Encoded()
    for number, solution in enumerate(solutions):
        if solution.finish == "length":
            result.dropped["cut_by_length_limit"] += 1
            continue
        if not solution.weight:
            result.dropped["weight_0"] += 1
            continue
        row = _row(solution, codec, check=number < CHECKED_ROWS)
        if row.tokens > max_length:
            result.dropped["too_long"] += 1
        else:
            result.rows.append(row)
    return result


def _row(solution: Solution, codec: StepCodec, *, check: bool) -> Row:
    prompt = solution.prompt_ids or tuple(codec.prompt_ids(solution.prompt))
    segments = solution.segments if solution.token_ids else _encode_texts(solution, codec)
    if check and solution.token_ids:
        _check_tokenizer(solution, codec)
    weights = [s.weight * solution.weight for s in segments for _ in s.token_ids]
    ids = (*prompt, *(t for s in segments for t in s.token_ids))
    return Row((Trace(ids=ids, weights=(*(0.0 for _ in prompt), *weights)),), group=solution.problem_id)


def _encode_texts(solution: Solution, codec: StepCodec) -> tuple[Segment, ...]:
    encoded = codec.encode([(s.kind, s.text) for s in solution.segments], end=True)
    text = codec.decode([t for s in encoded for t in s.token_ids])
    if text.strip() != solution.text.strip():
        raise UserError(
            f"The tokenizer does not give back the solution of problem {solution.problem_id!r}: {solution.text!r} became {text!r}. "
            "Its vocabulary misses some of the text; use another tokenizer or `tokenizer: task`."
        )
    return encoded


def _check_tokenizer(solution: Solution, codec: StepCodec) -> None:
    text = codec.decode(solution.token_ids)
    if text != solution.text:
        raise UserError(
            f"Problem {solution.problem_id!r}: the token ids of its solution decode to {text[:80]!r}, the row says {solution.text[:80]!r}. "
            "It was sampled with another tokenizer; sample with a policy of the same family."
        )
