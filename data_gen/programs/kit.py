"""What a program may use: models by role, extractors, a verifier, votes by meaning. Everything is charged.

    [draft] = await kit.at("draft").ask()                                   # the policy's own prompt of the question
    [judged] = await kit.at("judge").ask("{asked}\\n\\n{draft}\\n\\nRight?", role="judge", draft=draft.said)
    verdict = kit.read(judged, Regex(pattern="(yes|no)"), "verdict")        # None is noted in the row: `unread.verdict`
    scores = await kit.score([kit.solution(draft)])

Places are explicit (`kit.at("turn", 2)`), and two requests at one place are an error: the random stream of a request
follows from the seed, the problem, the run and the place, whatever else runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.errors import UserError, nearest
from data_gen.extractors import Extractor
from data_gen.format import StepCodec
from data_gen.programs.ledger import Account, Ledger, Path
from data_gen.programs.question import BareProblem
from data_gen.programs.replies import Reply, no_room, read_reply
from data_gen.programs.rows import ungraded
from data_gen.records.calls import Charge, ModelCall, Turn, total
from data_gen.records.solution import Solution
from data_gen.scorers.wording import filled
from data_gen.search.votes.base import Ballot, Vote
from data_gen.search.votes.elect import elect

Wording = str | Sequence[tuple[str, str]]
"""A template, or (role, template) of each turn of a conversation, the user's first. A last turn of the assistant is the
beginning of the answer."""
POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Seat:
    """A model in a role: `Seat(codec, context=4096, lm=lm)`."""

    codec: StepCodec
    context: int
    """Longest sequence in tokens."""
    lm: LM


class Scoring(Protocol):
    """What `kit.score` calls: a verifier bound to the problem."""

    async def __call__(self, rows: Sequence[Solution], at: Path) -> list[tuple[float, int]]:
        """A weight of each row, higher for better ones, and the tokens read for it."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    index: int
    answer: str | None
    outcome: float | None = None


@dataclass(frozen=True, slots=True)
class Kit:
    """One run's tools at one place of the program."""

    problem: BareProblem
    seats: Mapping[str, Seat]
    sampling: Sampling
    """How the stage draws. `ask` takes other values for single calls."""
    classes: Callable[[Sequence[str]], Mapping[str, int]]
    """The class of each answer: answers of one class are one answer, as the task says."""
    ledger: Ledger
    scoring: Scoring | None = None
    path: Path = ()

    def at(self, *path: str | int) -> Kit:
        """The kit at a longer path."""
        return replace(self, path=(*self.path, *path))

    def of_run(self, number: int) -> Kit:
        """The kit of an independent run, with an account of its own."""
        return replace(self.at("run", number), ledger=self.ledger.fresh())

    async def ask(
        self,
        wording: Wording | None = None,
        n: int = 1,
        *,
        role: str = POLICY,
        first: int = 0,
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: tuple[str, ...] = (),
        **parts: str,
    ) -> list[Reply]:
        """n replies of a model, in sample order.

        Args:
            wording: None: the model's own prompt of the question, with the task's worked examples. In a template
                `{question}`, `{asked}` (the question as the task's `prompt` puts it) and the names of `parts` are
                replaced, in one pass.
            n: How many.
            role: Which model.
            first: Index of the first sample. Sample i has the same stream whatever n and `first` are.
            temperature, max_tokens: Default: the stage's.
            stop: Texts that end the reply, besides the Format's.

        Raises:
            UserError: If the stage has no model of this role, or a part is in no template.
        """
        seat = self._seat(role)
        how = self._sampling(seat, temperature, max_tokens, stop)
        prompt = self._prompt(seat.codec, wording, parts)
        if wording is not None and len(prompt[1]) >= seat.context:  # a question that fills it is the engine's error
            self.note("no_room")
            samples, replies = list[Sample](), [no_room(prompt, i, how.temperature) for i in range(first, first + n)]
        else:
            samples = await seat.lm.at(*self.path).generate(prompt[1], n, how, first=first)
            replies = [read_reply(one, seat.codec, prompt, i, how.temperature) for i, one in enumerate(samples, first)]
        self._charge(role, replies, sum(len(one.token_ids) for one in samples))
        return replies

    async def ask_for(
        self, way: Extractor, name: str, wording: Wording, *, tries: int = 1, role: str = POLICY, **parts: str
    ) -> tuple[str | None, Reply]:
        """What an extractor finds in a reply, and that reply. Up to `tries` replies are drawn until one is readable;
        all are charged. None, after the last, is noted as `unread.NAME`."""
        place = self.at(name)
        for k in range(tries):
            [reply] = await place.at(k).ask(
                wording, 1, role=role, first=0, temperature=None, max_tokens=None, stop=(), **parts
            )
            if found := place._find(reply, way):
                return found, reply
        place.note(f"unread.{name}")
        return None, reply

    async def likelihoods(
        self, wording: Wording | None, options: Sequence[str], *, role: str = POLICY, **parts: str
    ) -> list[float]:
        """log p(option | prompt) of each option under a model, untempered, summed over its tokens."""
        seat = self._seat(role)
        ids = self._prompt(seat.codec, wording, parts)[1]
        written = [seat.codec.tokenizer(option, add_special_tokens=False)["input_ids"] for option in options]
        logprobs = await seat.lm.score(ids, written)
        self.ledger.enter(self.path, Charge(role=role, requests=1, scored=len(ids) + sum(map(len, written))))
        return [sum(each) for each in logprobs]

    def read(self, reply: Reply, way: Extractor, name: str) -> str | None:
        """What an extractor finds in a reply. None is noted in the row as `unread.NAME`."""
        found = self._find(reply, way)
        if found is None:
            self.note(f"unread.{name}")
        return found

    def note(self, said: str) -> None:
        """Something went wrong here. The next row made at this place or above says so, and the stage counts it."""
        self.ledger.note(self.path, said)

    def solution(self, reply: Reply, *, chain: int | None = None, turn: int | None = None) -> Solution:
        """The row of a reply, not graded yet. It carries all requests at or below this place that no earlier row
        carries."""
        return ungraded(self.problem, reply, self.ledger.take(self.path), chain=chain, turn=turn)

    def closed(self, rows: Sequence[Solution]) -> list[Solution]:
        """The rows of a finished run. The last one takes the requests that no row carries yet."""
        rest = self.ledger.take(self.path)
        if not rows or rest == Account():
            return list(rows)
        last = replace(
            rows[-1],
            notes=(*rows[-1].notes, *rest.notes),
            charges=total((*rows[-1].charges, *rest.charges)),
            conversation=(*rows[-1].conversation, *rest.calls),
        )
        return [*rows[:-1], last]

    async def score(self, rows: Sequence[Solution]) -> list[Solution]:
        """The rows with a verifier's weight as `value`: P(correct), or exp of a ranking's score. The verifier reads
        each as an answer to the question alone, at the row's own cost. UserError if the stage has no scorer."""
        if self.scoring is None:
            raise UserError("scorer: the program scores solutions, and the stage has no scorer. Give it a `scorer:`.")
        return [
            replace(row, value=weight, charges=total((*row.charges, Charge(role="scorer", requests=1, scored=tokens))))
            for row, (weight, tokens) in zip(rows, await self.scoring(rows, self.path), strict=True)
        ]

    def vote(self, rows: Sequence[Solution], rule: Vote) -> int | None:
        """Index of the row that a rule elects; rows without an answer do not vote. Their `value` is the score, 1 if
        there is none. None if nothing is elected. Ties are broken by the place's random stream."""
        cast = [
            Ballot(_Candidate(i, row.answer), 1, 1.0 if row.value is None else row.value)
            for i, row in enumerate(rows)
            if row.answer is not None
        ]
        class_of = self.classes([ballot.leaf.answer or "" for ballot in cast]).__getitem__
        key = "/".join(map(str, (self.problem.id, *self.path)))
        elected = elect(cast, rule, class_of, key).leaf if cast else None
        return elected.index if elected else None

    def _find(self, reply: Reply, way: Extractor) -> str | None:
        mark = self._seat(POLICY).codec.format.task.answer_mark
        return way.find(reply.said, mark) if reply.whole else None

    def _seat(self, role: str) -> Seat:
        if role not in self.seats:
            raise UserError(
                f"models: the program asks a model {role!r}, which the stage does not name.{nearest(role, self.seats)}"
            )
        return self.seats[role]

    def _sampling(
        self, seat: Seat, temperature: float | None, max_tokens: int | None, stop: tuple[str, ...]
    ) -> Sampling:
        own = self.sampling
        return replace(
            own,
            temperature=own.temperature if temperature is None else temperature,
            max_tokens=own.max_tokens if max_tokens is None else max_tokens,
            stop=(*seat.codec.format.task.ends, *stop),
        )

    def _prompt(
        self, codec: StepCodec, wording: Wording | None, parts: Mapping[str, str]
    ) -> tuple[str, tuple[int, ...], tuple[Turn, ...]]:
        """(text, ids, conversation)"""
        if wording is None:
            if parts:
                raise UserError(f"program: the part {min(parts)!r} is in no template; give `ask` a wording.")
            question = self.problem.question
            return codec.prompt_text(question), tuple(codec.prompt_ids(question)), ()
        turns = self._filled([("user", wording)] if isinstance(wording, str) else wording, parts)
        return codec.turns_text(turns), tuple(codec.turns_ids(turns)), turns

    def _filled(self, wording: Sequence[tuple[str, str]], parts: Mapping[str, str]) -> tuple[Turn, ...]:
        known = {"question": self.problem.question, "asked": self.problem.asked, **parts}
        for name in parts:
            if not any(f"{{{name}}}" in text for _, text in wording):
                raise UserError(
                    f"program: no template has a place {{{name}}}: {[text[:80] for _, text in wording]!r}. Write it "
                    "into the template, or leave the part out."
                )
        return tuple(Turn(role, filled(text, {f"{{{name}}}": known[name] for name in known})) for role, text in wording)

    def _charge(self, role: str, replies: Sequence[Reply], generated: int) -> None:
        """Enter a request. `generated`: what the model wrote, also behind the end of a reply."""
        if replies[:1] and replies[0].finish == "no_room":
            charge = Charge(role=role)
        else:
            read = len(replies[0].prompt_ids) if replies else 0
            charge = Charge(role=role, requests=1, calls=len(replies), generated=generated, read=read)
        call = ModelCall(
            role=role,
            path="/".join(map(str, self.path)),
            asked=replies[0].asked if replies else (),
            replies=tuple(reply.text for reply in replies),
            finishes=tuple(reply.finish for reply in replies),
        )
        self.ledger.enter(self.path, charge, call)
