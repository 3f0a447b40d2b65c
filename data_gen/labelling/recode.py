"""Converts labels to the tokens of another model. Steps cross as text, encoded in the way in which searches and
evaluations present them to the verifier.

A model trained on such rows is therefore read at exactly the tokens at which it was trained.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.labelling.targets.base import PROMPT_END
from data_gen.pieces import texts_of
from data_gen.records.labels import StepPair, ValueTarget
from data_gen.records.prefix import Prefix
from data_gen.records.problem import Problem
from data_gen.records.segment import Kind, Segment
from data_gen.verifiers.heads import step_ends
from data_gen.verifiers.reading import PrefixReader, Readout


class Recoder:
    """`Recoder(own, policy).target(row, problem)` converts from the tokens of the policy that grew the trees to the
    tokens of the model `own`."""

    def __init__(self, own: StepCodec, policy: StepCodec) -> None:
        policy.format.check_same_task(own.format, "the policy", "the model")
        self._own, self._policy, self._reader = own, policy, PrefixReader(own, policy, "step_end")

    def target(self, row: ValueTarget, problem: Problem) -> ValueTarget | None:
        """The same path with the same values. None if the model's tokens straddle its steps.

        UserError for values inside steps, which have no counterpart among other tokens.
        """
        reading, segments = self._read(
            row.problem_id, problem, row.token_ids, "".join(row.completions), ended=row.outcome is not None
        )
        start, ends = reading.cuts[0], tuple(at - reading.cuts[0] for at in reading.at)
        places = dict(zip(step_ends(segments), ends, strict=False))
        if len(ends) != len(row.ends) or len(places) != len(ends):
            return None
        if not self._own.format.model.step_token:  # after a bare question there is a step token, which no path has
            places[PROMPT_END] = PROMPT_END
        if inside := set(row.at) - places.keys() - {PROMPT_END}:
            raise UserError(
                f"targets: problem {row.problem_id!r} has a value at token {min(inside)}, inside a step, but "
                "between tokenizers only ends of steps correspond. Make the targets at the ends of steps "
                "(`level: steps`), or train a model with the policy's tokenizer."
            )
        moved = self._moved(
            row, reading.ids, start, ends, [(places[at], i) for i, at in enumerate(row.at) if at in places]
        )
        return replace(moved, prompt=self._own.prompt_text(problem.question))

    def _moved(
        self, row: ValueTarget, ids: tuple[int, ...], start: int, ends: tuple[int, ...], kept: Sequence[tuple[int, int]]
    ) -> ValueTarget:
        def of(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(values[i] for _, i in kept) if len(values) == len(row.at) else ()

        cuts = itertools.pairwise([start, *(start + end + 1 for end in ends)])
        return replace(
            row,
            prompt_ids=ids[:start],
            token_ids=ids[start:],
            ends=ends,
            completions=tuple(texts_of(self._own.decode, [ids[begin:end] for begin, end in cuts])),
            at=tuple(at for at, _ in kept),
            values=of(row.values),
            n_eff=of(row.n_eff),
            weights=of(row.weights),
            correct=of(row.correct),
            total=of(row.total),
        )

    def pair(self, row: StepPair, problem: Problem) -> StepPair | None:
        """The same two sides. None if the model's tokens straddle the shared steps and the sides. Reference
        log-probabilities are dropped."""
        shared = len(step_ends(self._policy.split(row.prefix_ids)))
        sides = []
        for ids, said in ((row.chosen_ids, row.chosen), (row.rejected_ids, row.rejected)):
            whole = self._policy.decode(row.prefix_ids) + said
            reading, _ = self._read(
                row.problem_id, problem, (*row.prefix_ids, *ids), whole, ended=row.end_mark == "eos"
            )
            if len(reading.at) <= shared:
                return None
            cut = reading.at[shared - 1] + 1 if shared else reading.cuts[0]
            sides.append((reading.ids[:cut], reading.ids[cut:]))
        (prompt, chosen), (other, rejected) = sides
        if prompt != other or not (chosen and rejected):
            return None
        start = reading.cuts[0]
        shared_ids = prompt[start:]
        return replace(
            row,
            prompt=self._own.prompt_text(problem.question) + self._own.decode(shared_ids),
            prompt_ids=prompt,
            prompt_length=start,
            chosen_ids=chosen,
            rejected_ids=rejected,
            chosen=self._own.text_behind(shared_ids, chosen),
            rejected=self._own.text_behind(shared_ids, rejected),
            chosen_weights=self._weights((*shared_ids, *chosen), len(chosen)),
            rejected_weights=self._weights((*shared_ids, *rejected), len(rejected)),
            reference_chosen=None,
            reference_rejected=None,
            end_mark="eos" if {chosen[-1], rejected[-1]} & self._own.end_ids else "none",
        )

    def _weights(self, ids: tuple[int, ...], last: int) -> tuple[float, ...]:
        """Loss weights of the last `last` tokens. Empty if the policy wrote all of them."""
        weights = tuple(segment.weight for segment in self._own.split(ids) for _ in segment.token_ids)[-last:]
        return weights if 0.0 in weights else ()

    def _read(
        self, problem_id: str, problem: Problem, ids: tuple[int, ...], said: str, *, ended: bool
    ) -> tuple[Readout, tuple[Segment, ...]]:
        """The model's reading of a path, and the path's segments in the policy's tokens."""
        segments, text = self._policy.split(ids), self._policy.decode(ids)
        if text != said:
            raise UserError(
                f"policy: the token ids of a path of problem {problem_id!r} decode to {text[:80]!r} with its "
                f"tokenizer, but the row says {said[:80]!r}. Give the policy that grew the trees."
            )
        steps = tuple(s.text.strip() for s in segments if s.kind is Kind.STEP)
        closing = next((s.text.strip() for s in segments if s.kind is Kind.ANSWER), "")
        over = ended and bool(segments) and segments[-1].kind in (Kind.ANSWER, Kind.END)
        reading = self._reader.read(
            Prefix(
                problem=problem,
                prompt_ids=tuple(self._policy.prompt_ids(problem.question)),
                token_ids=ids,
                ends=tuple(step_ends(segments)),
                read=lambda: (steps, closing),
                ended=over,
                answer=self._policy.answer(ids) if over else None,
            )
        )
        self._check_kept(problem_id, text, self._own.decode(reading.ids[reading.cuts[0] :]))
        return reading, segments

    def _check_kept(self, problem_id: str, text: str, again: str) -> None:
        mark = self._own.format.model.step_token
        if "".join((again.replace(mark, "") if mark else again).split()) != "".join(text.split()):
            raise UserError(
                f"model: its tokenizer does not give back a path of problem {problem_id!r}: {text[:80]!r} became "
                f"{again[:80]!r}. Its vocabulary misses some of the text; use another model."
            )
