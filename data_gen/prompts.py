"""Prompts of a Format for one tokenizer, and the tokens that end what the model answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from data_gen.control_tokens import ControlTokens, special_ids, token_text
from data_gen.errors import UserError
from data_gen.records.calls import Turn
from data_gen.templates.frame import Frame, Turns, chat_frame, learned_turns, plain_frame
from data_gen.templates.masks import Runs, TextRun

if TYPE_CHECKING:
    from data_gen.conventions import Format


@dataclass(frozen=True, slots=True)
class Ends:
    """`Ends(own=2, all=frozenset({2, 7}), written=frozenset({2}))`."""

    own: int
    """What ends a solution that is written for training."""
    all: frozenset[int]
    """What ends a sampled one."""
    written: frozenset[int] = frozenset()
    """Added tokens that the template writes before a question and behind an answer."""


def find_ends(fmt: Format, tokenizer: Any, more: tuple[int, ...]) -> Ends:
    """The ends of a Format's solutions. `more`: those of the generation config.

    Raises:
        UserError: If there is none, or the chat template ends a turn with a text that is no token.
    """
    known = [i for i in (tokenizer.eos_token_id, *more) if i is not None]
    if fmt.model.template != "chat":
        return _ends(tokenizer, known, known)
    turns = learned_turns(fmt, tokenizer)
    learned, between = _added(turns.end, tokenizer), _added(turns.between, tokenizer)
    if not learned and turns.end.strip() and not any(end in turns.end for end in fmt.task.ends):
        raise UserError(
            f"The chat template of the tokenizer ends a turn with {turns.end!r}, which holds no token of its own, so "
            "sampling could not stop there. Add it to the tokenizer as a token, name the text in `task.format.ends`, "
            "or say `format: {template: plain}`."
        )
    # Where nothing ends the last turn, the token that opens the next one stops sampling; eos is trained.
    found = _ends(tokenizer, [*learned[:1], *known], [*(learned or between)[:1], *known])
    return Ends(found.own, found.all, frozenset({*learned[:1], *_added(turns.opening, tokenizer)}))


def _ends(tokenizer: Any, trained: list[int], stopping: list[int]) -> Ends:
    if not trained:
        raise UserError(
            "The tokenizer has no eos token, so no solution could end; set `eos_token` in its tokenizer_config.json, "
            "or `eos_token_id` in generation_config.json."
        )
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = token_text(tokenizer, trained[0])
    return Ends(trained[0], frozenset(stopping) | {trained[0]})


def _added(text: str, tokenizer: Any) -> list[int]:
    """The added tokens in a text, in order. White space (Gemma's line ends) is text."""
    added = {i for i, token in tokenizer.added_tokens_decoder.items() if not token.content.isspace()}
    return [i for i in tokenizer(text, add_special_tokens=False)["input_ids"] if i in added]


class Prompts:
    """Text and ids of prompts. What a template writes around a question is learned once."""

    def __init__(self, fmt: Format, tokenizer: Any, ends: Ends) -> None:
        kept = {tokenizer.convert_tokens_to_ids(fmt.model.step_token)} if fmt.model.step_token else set()
        self.control = ControlTokens(tokenizer, (special_ids(tokenizer) | ends.all | ends.written) - kept)
        self._task, self._tokenizer, self._fmt = fmt.task, tokenizer, fmt
        chat, plain = fmt.model.template == "chat", fmt.model.template == "plain"
        self._chat = chat
        self.frame = chat_frame(fmt, tokenizer, self.control.texts) if chat else plain_frame(fmt)
        self._frames: dict[str, Frame] = {}
        # A chat template writes its own special tokens; a plain prompt gets those that the tokenizer puts in front.
        self.in_front = in_front(tokenizer) if plain else ()

    def text(self, question: str) -> str:
        """The prompt of a question."""
        return self._framed(self.frame.before, self._task.asked(question)).text

    def ids(self, question: str) -> list[int]:
        """Its token ids."""
        return self._encoded(self._framed(self.frame.before, self._task.asked(question)))

    def ids_to_answer(self, body: str) -> list[int]:
        """Token ids of another text than a question, without examples."""
        return self._encoded(self._framed(self.frame.bare, body))

    def text_of_turns(self, turns: Sequence[Turn]) -> str:
        """The text of `ids_of_turns`."""
        return self._conversation(turns).text

    def ids_of_turns(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of a conversation, without examples, up to where the answer to its last question begins. A last
        turn of the assistant is the beginning of that answer.

        A chat template writes the turns. Without one they are texts separated as worked examples are. UserError if the
        roles do not alternate.
        """
        return self._encoded(self._conversation(turns))

    def _conversation(self, turns: Sequence[Turn]) -> Runs:
        check_roles(turns)
        system = turns[0].text if turns[0].role == "system" else ""
        said, frame = turns[bool(system) :], self._frame_of(system) if self._chat else self.frame
        opening = frame.bare if self._chat else Runs.of_content(f"{system}\n\n" if system else "")
        asked, begun = (said, None) if said[-1].role == "user" else (said[:-1], said[-1])
        middle = [run for turn in zip(asked[::2], asked[1::2], strict=False) for run in self._exchange(frame, *turn)]
        last = TextRun(frame.stripped(asked[-1].text), False)
        return Runs((*opening, *middle, last, *frame.after, *(Runs.of_content(begun.text) if begun else ())))

    def _exchange(self, frame: Frame, asked: Turn, answered: Turn) -> Iterator[TextRun]:
        """A question with its answer, up to where the next question begins."""
        yield TextRun(frame.stripped(asked.text), False)
        suffix = self._fmt.model.plain_suffix if self._fmt.model.template == "plain" else "\n\n"
        yield TextRun(self._turns.replying, True) if self._chat else TextRun(suffix, False)
        yield TextRun(answered.text.strip(), False)
        yield TextRun(self._turns.between, True) if self._chat else TextRun("\n\n", False)

    @cached_property
    def _turns(self) -> Turns:
        return learned_turns(self._fmt, self._tokenizer)

    def _frame_of(self, system: str) -> Frame:
        """What the chat template writes around a question under this system text; the Format's own if it is empty."""
        if not system:
            return self.frame
        if system not in self._frames:
            shape = self._fmt.model.model_copy(update={"system": system})
            fmt = self._fmt.model_copy(update={"model": shape})
            self._frames[system] = chat_frame(fmt, self._tokenizer, self.control.texts)
        return self._frames[system]

    def ids_of_rendered(self, prompt: str) -> list[int]:
        """Token ids of a prompt's text. Control tokens that it holds are taken for the template's."""
        return [*self.in_front, *self._tokenizer(prompt, add_special_tokens=False)["input_ids"]]

    def _framed(self, before: Runs, body: str) -> Runs:
        return Runs((*before, TextRun(self.frame.stripped(body), False), *self.frame.after))

    def _encoded(self, runs: Runs) -> list[int]:
        return [*self.in_front, *self.control.encode(runs)]


def check_roles(turns: Sequence[Turn]) -> None:
    """UserError unless turns of the user and the assistant alternate, the user's first, behind at most one system
    text."""
    roles = [turn.role for turn in turns]
    said = roles[1:] if roles[:1] == ["system"] else roles
    if not said or said != ["user", "assistant"] * (len(said) // 2) + ["user"] * (len(said) % 2):
        raise UserError(
            f"A conversation has the roles {', '.join(roles) or '(none)'}; expected user and assistant in turns, the "
            "user first, and at most a system text before them."
        )


def in_front(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens (bos) that the tokenizer puts in front of a text. What it puts behind (eos) is left out, so
    that a completion can follow."""
    bare, full = tokenizer("a", add_special_tokens=False)["input_ids"], tokenizer("a")["input_ids"]
    starts = (i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare)
    return tuple(full[: next(starts, 0)])
