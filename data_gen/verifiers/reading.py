"""How a verifier reads a partial solution: the ids, and the positions of its values among them.

A verifier with the policy's tokenizer and template reads the policy's own ids. Any other gets the texts of the steps,
tokenised once in one piece and cut by offsets. A solution that has its answer ends with an end token, whether the
policy wrote one or not, so a verifier sees whole solutions as in its training. A model with a `step_token` has it in
place of each step's delimiter and is read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_gen.format import StepCodec
from data_gen.records.prefix import Prefix
from data_gen.records.segment import Kind, Segment
from data_gen.verifiers.heads import ReadAt, step_ends


@dataclass(frozen=True, slots=True)
class Readout:
    """`Readout(ids=(5, 9, 7, 4), at=(3,), cuts=(2, 4))`: the prompt (5, 9) and one step (7, 4), whose value stands at
    its last token."""

    ids: tuple[int, ...]
    at: tuple[int, ...]
    """Ascending. The last one is the value of the whole. A solution without steps is read at the prompt's last
    token."""
    cuts: tuple[int, ...] = ()
    """Ends of pieces that other readings may share: the prompt, each node of a search, the whole."""
    owner: object | None = field(default=None, compare=False, repr=False)
    """What a verifier caches of it may be freed once this object is gone."""


class PrefixReader:
    """Converts prefixes to readings. `own` is the verifier's codec. `policy` is the codec of the prefixes' ids."""

    def __init__(self, own: StepCodec, policy: StepCodec, read_at: ReadAt) -> None:
        self._own, self._policy, self._every_step = own, policy, read_at != "last"
        self.shares_ids = (
            own.format.model == policy.format.model and not own.format.model.step_token and _same(own, policy)
        )
        """Whether the verifier reads the policy's own ids."""

    def read(self, prefix: Prefix, owner: object | None = None) -> Readout:
        """The ids and positions of one prefix."""
        prompt, completion, ends = self._parts(prefix)
        ids, begin = (*prompt, *completion), len(prompt)
        at = tuple(begin + end for end in ends) or (len(ids) - 1,)
        nodes = prefix.cuts if self.shares_ids else [end + 1 for end in ends]
        cuts = sorted({begin, *(begin + cut for cut in nodes[:-1]), len(ids)})
        return Readout(ids, at if self._every_step else at[-1:], tuple(cuts), owner)

    def read_after_prompt(self, prefix: Prefix) -> Readout:
        """The ids of one prefix, with the prompt's last token as position: everything after it is the solution."""
        prompt, completion, _ = self._parts(prefix)
        return Readout((*prompt, *completion), (len(prompt) - 1,))

    def _parts(self, prefix: Prefix) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """(prompt, completion, ends of its pieces)"""
        return self._from_ids(prefix) if self.shares_ids else self._from_text(prefix)

    def _from_ids(self, prefix: Prefix) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        ids, ends = prefix.token_ids, prefix.ends or step_ends(self._policy.split(prefix.token_ids))
        if not _answered(prefix) or (ids and ids[-1] in self._policy.end_ids):
            return prefix.prompt_ids, ids, ends
        return prefix.prompt_ids, (*ids, self._policy.end_id), (*ends[:-1], len(ids))

    def _from_text(self, prefix: Prefix) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        step_token = self._own.format.model.step_token
        pieces = self._pieces(prefix, step_token)
        segments = self._own.encode(pieces, end=_answered(prefix) and not step_token)
        return self._own.prompt_ids(prefix.problem.question), _ids(segments), step_ends(segments)

    def _pieces(self, prefix: Prefix, step_token: str) -> list[Segment]:
        """Steps and answer line, each with the delimiter or step token that follows it. A bare problem is an empty step
        if there is a step token."""
        mark = step_token or self._own.format.task.step_delimiter
        if self._own.format.task.marks:
            return self._typed(prefix, mark, step_token)
        steps = [Segment(kind=Kind.STEP, text=_marked(step, mark)) for step in prefix.steps]
        if steps and not step_token and not prefix.closing and not _answered(prefix) and self._is_open(prefix):
            steps[-1] = Segment(kind=Kind.STEP, text=prefix.steps[-1])
        if prefix.closing:
            steps.append(Segment(kind=Kind.ANSWER, text=prefix.closing + step_token))
        return steps or [Segment(kind=Kind.STEP, text=step_token)] * bool(step_token)

    def _typed(self, prefix: Prefix, mark: str, step_token: str) -> list[Segment]:
        """The same if spans are marked. Spans are kept as they are, and tool outputs get no step token."""
        found = [
            segment for segment in self._policy.split(prefix.token_ids) if segment.kind is not Kind.END and segment.text
        ]
        pieces = [_crossing(segment, mark, step_token) for segment in found]
        if pieces and found[-1].kind is Kind.STEP and not step_token and not self._policy.complete(prefix.token_ids):
            pieces[-1] = Segment(kind=Kind.STEP, text=found[-1].text.strip())
        return pieces or [Segment(kind=Kind.STEP, text=step_token)] * bool(step_token)

    def _is_open(self, prefix: Prefix) -> bool:
        """Whether the last step was cut or is still being written, so that its delimiter has not come."""
        ids, ends = prefix.token_ids, prefix.ends or step_ends(self._policy.split(prefix.token_ids))
        last = self._policy.decode(ids[ends[-2] + 1 if len(ends) > 1 else 0 :])
        return bool(ids) and self._own.format.task.step_delimiter not in last.lstrip()


def _answered(prefix: Prefix) -> bool:
    """Whether it is a whole solution. One that was cut, or ended without an answer, gets no end token that it did not
    write."""
    return prefix.ended and prefix.answer is not None


def _crossing(segment: Segment, mark: str, step_token: str) -> Segment:
    """A segment of the policy in the form that the verifier reads."""
    if segment.kind is Kind.STEP:
        return Segment(kind=Kind.STEP, text=_marked(segment.text.strip(), mark))
    text = segment.text.strip() if segment.kind is Kind.ANSWER else segment.text
    return Segment(kind=segment.kind, text=text + step_token * segment.kind.own)


def _marked(step: str, mark: str) -> str:
    """A step with its delimiter or step token. A stripped step may still end with it."""
    kept = mark.strip()
    return step if kept and step.endswith(kept) else step + mark


def _ids(segments: Sequence[Segment]) -> tuple[int, ...]:
    return tuple(token for segment in segments for token in segment.token_ids)


def _same(one: StepCodec, other: StepCodec) -> bool:
    """Whether two codecs encode a text to the same ids."""
    a, b = one.tokenizer, other.tokenizer
    return a is b or (
        a.backend_tokenizer.to_str() == b.backend_tokenizer.to_str()
        and a.chat_template == b.chat_template
        and a.all_special_ids == b.all_special_ids
        and a.eos_token_id == b.eos_token_id
    )
