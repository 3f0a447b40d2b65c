"""Encodes solutions as training rows. Prompt ids come from the policy's own codec; completion ids are those sampled,
or the text is encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.data.encoded import Encoded, check_prompt, prompt_texts


def encode_solutions(
    solutions: Iterable[Solution], codec: StepCodec, max_length: int, masked: Sequence[Kind] = ()
) -> Encoded:
    """Rows of whole solutions that end with the stop token. Solutions that are cut, too long or of weight 0 are dropped
    and counted, never truncated.

    `masked`: kinds of segments that carry no loss. UserError names a row whose prompt differs from what this policy is
    asked, or whose text the tokenizer does not reproduce.
    """
    result, asked, prompt = Encoded(), tuple[Any, ...](), tuple[int, ...]()
    for solution in solutions:
        if solution.finish == "length" or not solution.weight:
            reason = "cut_by_length_limit" if solution.finish == "length" else "weight_0"
            result.drop(
                reason, solution.problem_id, _texts(solution), len(solution.prompt_ids) + len(solution.token_ids)
            )
            continue
        question = solution.question or solution.prompt, solution.asked
        if question != asked or not prompt:  # solutions of one problem are adjacent
            asked, prompt = question, _prompt(solution, codec)
        check_prompt(solution.problem_id, solution.prompt_ids or prompt, prompt, codec, mend=MEND)
        row = _row(solution, codec, prompt, masked)
        if row.tokens > max_length:
            result.drop("too_long", solution.problem_id, _texts(solution), row.tokens)
        else:
            result.rows.append(row)
    return result


MEND = "Put stage `recode_solutions` before this one, with `model:` this policy"


def _prompt(solution: Solution, codec: StepCodec) -> tuple[int, ...]:
    """Ids of the prompt that the policy gets. A row without a separate question has it in its prompt, which is already
    rendered if the row has prompt ids. The row of a prompt program has the conversation that it continues."""
    if solution.asked:
        return _conversation(solution, codec)
    asked = solution.question or solution.prompt
    rendered = bool(solution.prompt_ids) and not solution.question
    prompt = tuple(codec.encode_prompt(asked) if rendered else codec.prompt_ids(asked))
    texts = prompt_texts(prompt, codec)
    same = asked.strip() in texts if rendered else any(asked.strip() in text for text in texts)
    if not (asked.strip() and same):
        raise _not_given_back("prompt", solution.problem_id, asked, texts[0])
    return prompt


def _conversation(solution: Solution, codec: StepCodec) -> tuple[int, ...]:
    prompt = tuple(codec.turns_ids(solution.asked))
    texts = prompt_texts(prompt, codec)
    for turn in solution.asked:
        if not any(turn.text.strip() in text for text in texts):
            raise _not_given_back("prompt", solution.problem_id, turn.text, texts[0])
    return prompt


def _texts(solution: Solution) -> list[str]:
    return [segment.text for segment in solution.segments]


def _row(solution: Solution, codec: StepCodec, prompt: tuple[int, ...], masked: Sequence[Kind]) -> Row:
    segments = solution.segments if solution.token_ids else _encode_texts(solution, codec)
    if solution.token_ids:
        _check_tokenizer(solution, codec)
    weights = [0.0 if s.kind in masked else s.weight * solution.weight for s in segments for _ in s.token_ids]
    ids = (*prompt, *(t for s in segments for t in s.token_ids))
    trace = Trace(ids=ids, weights=(*(0.0 for _ in prompt), *weights), columns=_columns(solution, len(prompt)))
    return Row((trace,), group=solution.problem_id)


def _columns(solution: Solution, prompt: int) -> dict[str, tuple[tuple[float, ...], ...]]:
    """The teacher's entries at each token. Prompt tokens repeat the first entry, which is never read."""
    told = {"teacher_ids": solution.teacher_ids, "teacher_logprobs": solution.teacher_logprobs}
    for name, entries in told.items():
        if entries and len(entries) != len(solution.token_ids):
            raise UserError(
                f"Problem {solution.problem_id!r}: {name} has {len(entries)} entries for {len(solution.token_ids)} "
                "tokens. The solution was changed since stage `soften` read it; put that stage last."
            )
    return {name: (entries[0],) * prompt + entries for name, entries in told.items() if entries}


def _encode_texts(solution: Solution, codec: StepCodec) -> tuple[Segment, ...]:
    by_text = any(segment.kind is Kind.END for segment in solution.segments)
    encoded = codec.encode(solution.segments, end=not by_text)
    text = codec.decode([t for s in encoded for t in s.token_ids])
    if text.strip() != solution.text.strip():
        raise _not_given_back("solution", solution.problem_id, solution.text, text)
    return encoded


def _not_given_back(what: str, problem_id: str, said: str, text: str) -> UserError:
    return UserError(
        f"The tokenizer does not give back the {what} of problem {problem_id!r}: {said!r} became {text!r}. Its "
        "vocabulary misses some of the text; use another tokenizer or `tokenizer: task`."
    )


def _check_tokenizer(solution: Solution, codec: StepCodec) -> None:
    text, last = codec.decode(solution.token_ids), solution.token_ids[-1]
    if not codec.reads(solution.token_ids, solution.text):
        raise UserError(
            f"Problem {solution.problem_id!r}: the token ids of its solution decode to {text[:80]!r}, but the "
            f"row says {solution.text[:80]!r}. It was sampled with another tokenizer. {MEND}."
        )
    if last not in codec.end_ids and not codec.format.task.ends:
        raise UserError(
            f"Problem {solution.problem_id!r}: its solution, {text[-80:]!r}, ends with "
            f"{codec.tokenizer.convert_ids_to_tokens(last)!r}; expected a stop token "
            f"({', '.join(map(str, sorted(codec.end_ids)))}): without one the policy never learns to stop. Drop "
            "rows that were cut."
        )
