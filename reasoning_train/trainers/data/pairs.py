"""Encodes preference pairs as training rows. The shared prefix is the prompt; only the two sides carry loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.labels import StepPair
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.data.encoded import Encoded, Refuse, check_ids, check_prompt, prompt_texts


def encode_pairs(
    pairs: Iterable[StepPair],
    codec: StepCodec,
    max_length: int,
    *,
    vocabulary: int,
    compare: bool = False,
    first: int = 0,
) -> Encoded:
    """One row per pair, in order. `compare`: rows for a verifier, which reads the last token of each side and predicts
    no tokens. `first`: number of the first pair, for messages.

    A pair with a side over `max_length` is dropped and counted, never truncated. UserError names a pair that cannot be
    trained on.
    """
    result = Encoded()
    for number, pair in enumerate(pairs, first):
        _check(number, pair, codec, vocabulary, compare)
        sides = (pair.chosen_ids, pair.chosen_weights), (pair.rejected_ids, pair.rejected_weights)
        traces = tuple(_trace(pair.prompt_ids, side, weights, compare) for side, weights in sides)
        longest = max(traces, key=len)
        if len(longest) > max_length:
            result.drop(
                "too_long", pair.problem_id, [pair.chosen if longest is traces[0] else pair.rejected], len(longest)
            )
            continue
        known = (pair.reference_chosen, pair.reference_rejected)
        reference = tuple(x for x in known if x is not None)
        row = Row(traces, weight=pair.weight, smoothing=pair.label_smoothing, ranks=(1.0, 0.0), group=pair.problem_id)
        result.rows.append(replace(row, reference=reference) if len(reference) == 2 else row)
    return result


def _trace(prompt: tuple[int, ...], side: tuple[int, ...], weights: tuple[float, ...], compare: bool) -> Trace:
    ids = (*prompt, *side)
    if compare:
        return Trace(ids, (0.0,) * len(ids), (len(ids) - 1,), (), (1.0,))
    return Trace(ids, (0.0,) * len(prompt) + (weights or (1.0,) * len(side)))


def _check(number: int, pair: StepPair, codec: StepCodec, vocabulary: int, compare: bool) -> None:
    """UserError for a pair that cannot be trained on; its parts are checked in the order in which they depend on each
    other."""

    def refuse(field: str, value: object, expected: str) -> UserError:
        return UserError(
            f"Pair {number} (problem {pair.problem_id!r}, rule {pair.rule!r}): {field} is {value!r}; expected "
            f"{expected}."
        )

    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        check_ids(name, getattr(pair, name), vocabulary, refuse)
    _check_ends(pair, codec, refuse)
    _check_numbers(pair, refuse)
    _check_texts(pair, codec, refuse, step_token=compare)


def _check_ends(pair: StepPair, codec: StepCodec, refuse: Refuse) -> None:
    """Steps end without a stop token, whole solutions with one."""
    for name in ("chosen_ids", "rejected_ids"):
        last = getattr(pair, name)[-1]
        if pair.end_mark == "none" and last in codec.end_ids:
            raise refuse(
                name,
                last,
                "no stop token, as end_mark is 'none': a step must not teach the end. Set end_mark to 'eos' or drop it",
            )
    whole = pair.granularity == "full" and pair.end_mark == "eos" and not codec.format.task.ends
    if whole and pair.chosen_ids[-1] not in codec.end_ids:
        raise refuse(
            "chosen_ids",
            pair.chosen_ids[-1],
            "a stop token last, as the side is a whole solution and end_mark is 'eos'",
        )


def _check_numbers(pair: StepPair, refuse: Refuse) -> None:
    """Weights, scores and references are finite, and the sides differ."""
    for side in ("chosen", "rejected"):
        weights, length = getattr(pair, f"{side}_weights"), len(getattr(pair, f"{side}_ids"))
        if weights and not (len(weights) == length and max(weights) > 0 and all(map(math.isfinite, weights))):
            expected = f"{length} finite numbers, one a token and not all 0, or none for all 1"
            raise refuse(f"{side}_weights", weights, expected)
    if pair.chosen_ids == pair.rejected_ids:
        raise refuse("chosen", pair.chosen, "another text than `rejected`: equal sides teach nothing. Drop the row")
    for name in ("score_chosen", "score_rejected", "weight", "reference_chosen", "reference_rejected"):
        said = getattr(pair, name)
        if said is not None and not (math.isfinite(said) and (name != "weight" or said >= 0)):
            raise refuse(name, said, "a finite number, not below 0" if name == "weight" else "a finite number")
    if not 0 <= pair.label_smoothing <= 0.5:
        raise refuse("label_smoothing", pair.label_smoothing, "a probability from 0 to 0.5")


def _check_texts(pair: StepPair, codec: StepCodec, refuse: Refuse, *, step_token: bool) -> None:
    """The prompt is the one with which the model is asked, texts are those of their ids, and with `step_token` both
    sides end with the token at which the model is read."""
    if pair.question:
        mend = "Make the rows by stage `recode_pairs`"
        drawn = pair.prompt_ids[: pair.prompt_length]
        check_prompt(pair.problem_id, drawn, codec.prompt_ids(pair.question), codec, mend=mend)
    if pair.prompt.strip() not in (texts := prompt_texts(pair.prompt_ids, codec, pair.prompt_length)):
        raise refuse(
            "prompt",
            pair.prompt[:80],
            f"the text of prompt_ids, {texts[0][:80]!r}: the prefix is not a prefix of both sides",
        )
    last = (pair.chosen_ids[-1], pair.rejected_ids[-1])
    written = codec.format.model.step_token
    token = codec.tokenizer.convert_tokens_to_ids(written) if written else None
    if step_token and token is not None and set(last) != {token}:
        raise refuse(
            "chosen_ids, rejected_ids",
            last,
            f"{token} last, the step token at which this model is read. Make the rows by stage `recode_pairs`",
        )
    for name, said, ids in (("chosen", pair.chosen, pair.chosen_ids), ("rejected", pair.rejected, pair.rejected_ids)):
        if (text := codec.text_behind(pair.prefix_ids, ids)) != said:
            raise refuse(name, said[:80], f"the text of {name}_ids, {text[:80]!r}. Use the policy's tokenizer")
