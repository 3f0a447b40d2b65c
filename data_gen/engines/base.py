"""The async LM interface. Programs ask and an engine answers; neither knows how the other batches.

A program is one `async def` over `lm.generate` and `lm.score`. `run_programs` (programs.py of this folder) runs many of
them at once, and the engine batches their requests. Every request has an explicit path, from which its random stream
derives, so results never depend on what else ran beside it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to continue a prefix, e.g. `Sampling(max_tokens=64, temperature=0.8, top_p=0.95, stop=("\\n",))`."""

    max_tokens: int
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Generation ends with the first token whose decoded text completes one of these. That token is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One continuation, e.g. `Sample(token_ids=(9, 4, 1), logprobs=(-0.1, -0.5, -0.0), finish="stop")`."""

    token_ids: tuple[int, ...]
    """Sampled ids, the stop token included."""
    logprobs: tuple[float, ...]
    """Log-probability of each id under the model's untempered, untruncated distribution."""
    finish: Literal["stop", "length"]
    """`stop`: an end token or stop string; `length`: `max_tokens` or the context limit."""
    value: float | None = None
    """A joint model's value at the last token, on the scale of its head. None if the model has no value head."""
    thought: int = 0
    """Number of leading ids that a server gave as reasoning, apart from the answer, without marks around it."""

    def until(self, ends: Collection[int]) -> Sample:
        """The sample up to its first end token. What an engine sampled behind it (a server that stops elsewhere) is no
        part of the solution.

        >>> Sample(token_ids=(9, 1, 4), logprobs=(-0.1, -0.5, -0.2), finish="length").until({1})
        Sample(token_ids=(9, 1), logprobs=(-0.1, -0.5), finish='stop', value=None, thought=0)
        """
        at = next((i for i, token in enumerate(self.token_ids[:-1]) if token in ends), None)
        if at is None:
            return self
        kept = slice(0, at + 1)
        thought = min(self.thought, at + 1)
        return Sample(token_ids=self.token_ids[kept], logprobs=self.logprobs[kept], finish="stop", thought=thought)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an engine receives: one prefix, n continuations, one random stream per continuation."""

    prefix: tuple[int, ...]
    sampling: Sampling
    seeds: tuple[int, ...]
    """One 64-bit seed per continuation; its length is n."""
    prompt_length: int | None = None
    """Number of prefix ids that are the prompt; the rest was sampled before. None: all of them. An engine may reuse
    cached keys and values of the prefix. What it has evicted it computes again, the prompt in one pass and, where it
    promises bitwise equality, the rest token by token, so no result depends on the cache."""
    owner: object | None = field(default=None, compare=False, repr=False)
    """The request's owner. What an engine caches of the prefix may be freed once this object is gone. None: it may be
    freed whenever memory is short."""


@dataclass(slots=True)
class Usage:
    """Tokens that an engine has spent, discarded and cut samples included."""

    requests: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    """Prefix tokens of all requests, cached ones included. A prefix shared by n samples counts once."""
    cached_tokens: int = 0
    """How many of these had cached keys and values."""
    generated_tokens: int = 0
    scored_tokens: int = 0


class Engine(Protocol):
    """A backend. Implementations: local/engine.py, vllm/engine.py, openai/engine.py, scripted.py."""

    usage: Usage
    seeded: bool
    """True: a request's continuations follow from its seeds. False: a result can be replayed only from the store."""

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError when the prefix does not fit the context."""

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each token of each continuation, given the prefix and the continuation's earlier
        tokens."""

    async def aclose(self) -> None:
        """Release what belongs to the running event loop (connections, tasks). The next call opens it anew."""


def stream_seed(seed: int, *path: str | int) -> int:
    """The 64-bit seed of a request's random stream, from the stage's seed and the request's path.

    Stable across machines, processes and Python versions (no `hash`).
    """
    text = "\x1f".join([str(seed), *(f"{type(p).__name__}:{p}" for p in path)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class DuplicatePath(RuntimeError):
    """Two requests of one program used the same path; their random streams would be equal. Give each `lm.at(...)` its
    own."""


class Program:
    """The paths that one program has used, and the owner of its requests. It lives as long as the program's LMs."""

    def __init__(self) -> None:
        self.paths: set[tuple[str | int, ...]] = set()


class LM:
    """An engine as one program sees it: bound to a seed and a path.

    >>> child = lm.at("step", 3)                     # doctest: +SKIP
    >>> await child.generate(prefix, 4, sampling)    # doctest: +SKIP
    """

    def __init__(self, engine: Engine, seed: int, path: tuple[str | int, ...], program: Program | None = None) -> None:
        self._engine, self._seed, self.path = engine, seed, path
        self.program = program or Program()

    def at(self, *path: str | int) -> LM:
        """The same LM under a longer path."""
        return LM(self._engine, self._seed, (*self.path, *path), self.program)

    def rng(self) -> random.Random:
        """A generator for the program's own draws (resampling, choices). It derives from seed and path as a request's
        stream does. Every call under one path returns the same stream from its start."""
        return random.Random(stream_seed(self._seed, *self.path, "rng"))

    async def generate(
        self, prefix: Sequence[int], n: int, sampling: Sampling, *, prompt_length: int | None = None, first: int = 0
    ) -> list[Sample]:
        """n continuations of a prefix, in sample order (never completion order).

        Args:
            prefix: Token ids.
            n: How many.
            sampling: How they are drawn.
            prompt_length: See `Request`.
            first: Index of the first sample. Sample i has the same random stream whatever n and `first` are.
        """
        if self.path in self.program.paths:
            raise DuplicatePath(
                f"Path {self.path!r} was used for an earlier generate of this program; extend it with lm.at(...)."
            )
        self.program.paths.add(self.path)
        seeds = tuple(stream_seed(self._seed, *self.path, i) for i in range(first, first + n))
        request = Request(
            prefix=tuple(prefix), sampling=sampling, seeds=seeds, prompt_length=prompt_length, owner=self.program
        )
        return await self._engine.generate(request)

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each token of each continuation of one prefix. It draws nothing and needs no path."""
        return await self._engine.score(prefix, continuations)
