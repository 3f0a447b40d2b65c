"""Encodes value targets as training rows: one path with its targets, or all paths of a problem as a group to
compare."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.records.labels import ValueTarget
from data_gen.records.scales import BOUNDS, Scale, convert
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers.data.encoded import Encoded, check_ids, check_prompt, prompt_texts


def encode_values(
    targets: Iterable[ValueTarget], codec: StepCodec, head: HeadConfig, max_length: int, *, vocabulary: int
) -> Encoded:
    """One row per path.

    A path over `max_length` is dropped and counted, never truncated. UserError names a target that the head cannot
    learn from.
    """
    result = Encoded()
    for trace, target in _traces(targets, codec, head, vocabulary):
        if len(trace) > max_length or not trace.at:
            _drop(result, "too_long" if len(trace) > max_length else "no_target", trace, target)
        else:
            result.rows.append(Row((trace,), group=target.problem_id))
    return result


def encode_groups(
    targets: Iterable[ValueTarget], codec: StepCodec, head: HeadConfig, max_length: int, *, vocabulary: int
) -> Encoded:
    """One row per problem: its paths, read at their last token and ranked by outcome.

    Paths that are too long or have no outcome are dropped and counted, as are problems with paths that are all right or
    all wrong.
    """
    result = Encoded()
    for problem_id, members in itertools.groupby(
        _traces(targets, codec, head, vocabulary), key=lambda pair: pair[1].problem_id
    ):
        traces, ranks, kept = [], [], None
        for trace, target in members:
            if len(trace) > max_length or target.outcome is None:
                _drop(result, "too_long" if len(trace) > max_length else "no_target", trace, target)
            else:
                traces.append(Trace(trace.ids, trace.weights, (len(trace) - 1,), (), (1.0,)))
                ranks.append(target.outcome)
                kept = trace, target
        if len(set(ranks)) > 1:
            result.rows.append(Row(tuple(traces), ranks=tuple(ranks), group=problem_id))
        elif kept:
            _drop(result, "one_class", *kept)
    return result


def _drop(result: Encoded, reason: str, trace: Trace, target: ValueTarget) -> None:
    result.drop(reason, target.problem_id, target.completions, len(trace))


def _traces(
    targets: Iterable[ValueTarget], codec: StepCodec, head: HeadConfig, vocabulary: int
) -> Iterator[tuple[Trace, ValueTarget]]:
    for number, target in enumerate(targets):
        _check(number, target, codec, head, vocabulary)
        start, completion = len(target.prompt_ids), _ended(target, codec)
        last = len(completion) - 1
        # A target at the end of a whole solution moves to the end token, because verifiers read it there.
        moved = [(last if at == len(target.token_ids) - 1 else at, i) for i, at in enumerate(target.at)]
        kept = [(at, i) for at, i in moved if head.read_at != "last" or at == last]
        yield (
            Trace(
                ids=(*target.prompt_ids, *completion),
                weights=(0.0,) * (start + len(completion)),
                at=tuple(start + at for at, _ in kept),
                targets=tuple(convert(target.values[i], Scale(target.scale), head.scale) for _, i in kept),
                target_weights=tuple(target.weights[i] for _, i in kept),
            ),
            target,
        )


def _ended(target: ValueTarget, codec: StepCodec) -> tuple[int, ...]:
    """The path's ids. A whole solution gets its end token if the policy did not write it, because verifiers read it
    with one; with a step token none is added."""
    ids = target.token_ids
    if codec.format.model.step_token:
        return ids
    whole = target.outcome is not None and codec.answer(ids) is not None
    return (*ids, codec.end_id) if whole and ids[-1] not in codec.end_ids else ids


def _check(number: int, target: ValueTarget, codec: StepCodec, head: HeadConfig, vocabulary: int) -> None:
    def refuse(field_: str, value: object, expected: str) -> UserError:
        return UserError(
            f"Value target {number} (problem {target.problem_id!r}): {field_} is {value!r}; expected {expected}."
        )

    for name, ids in (("prompt_ids", target.prompt_ids), ("token_ids", target.token_ids)):
        check_ids(name, ids, vocabulary, refuse)
    low, high = BOUNDS[Scale(target.scale)]
    for value, weight in zip(target.values, target.weights, strict=True):
        if not (math.isfinite(value) and low <= value <= high):
            raise refuse("values", value, f"a number from {low:g} to {high:g}, the bounds of scale {target.scale!r}")
        if not (math.isfinite(weight) and weight >= 0):
            raise refuse("weights", weight, "a finite number, not below 0")
    if any(not -1 <= at < len(target.token_ids) for at in target.at):
        raise refuse("at", target.at, f"indices from -1 (the prompt's end) to {len(target.token_ids) - 1}")
    if head.read_at == "step_end" and (inside := set(target.at) - {*target.ends, -1}):
        raise refuse(
            "at",
            min(inside),
            "ends of steps, as head.read_at is 'step_end'. Train this head with `read_at: every_token`",
        )
    if (mark := codec.format.model.step_token) and not _on_marks(target, codec, mark):
        raise refuse(
            "at",
            target.at,
            f"places of {mark!r}, the step token at which this model is read. Make the rows by stage `recode_targets`",
        )
    if target.question:
        mend = "Make the rows by stage `recode_targets`"
        check_prompt(target.problem_id, target.prompt_ids, codec.prompt_ids(target.question), codec, mend=mend)
    if target.prompt.strip() not in (texts := prompt_texts(target.prompt_ids, codec)):
        raise refuse("prompt", target.prompt[:80], f"the text of prompt_ids, {texts[0][:80]!r}")
    if (text := codec.decode(target.token_ids)) != (said := "".join(target.completions)):
        raise refuse(
            "completions",
            said[:80],
            f"the text of token_ids, {text[:80]!r}. Use the tokenizer of the policy that grew the trees",
        )


def _on_marks(target: ValueTarget, codec: StepCodec, mark: str) -> bool:
    token = codec.tokenizer.convert_tokens_to_ids(mark)
    return all(at >= 0 and target.token_ids[at] == token for at in target.at) and target.token_ids[-1] == token
