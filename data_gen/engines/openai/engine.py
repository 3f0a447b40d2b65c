"""The engine over an OpenAI-compatible server: programs keep requests in flight, and the server batches them.

Prefixes are sent as token ids if the server takes them, else as text. A prompt that the server would read as other ids
is refused. A sampled prefix that it would read as other ids is counted in `respelled`, because models do not always
sample the tokens that their tokenizer would choose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.engines.base import Request, Sample, Usage
from data_gen.engines.openai.choices import ServerChoice, Spent, read_choices, read_usage
from data_gen.engines.openai.http_answers import Malformed
from data_gen.engines.openai.http_transport import Transport
from data_gen.engines.openai.kinds import ServerTraits
from data_gen.engines.openai.scoring import read_scores, scoring_body
from data_gen.engines.openai.text import TextBridge
from data_gen.errors import UserError
from data_gen.marks import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """How requests to one server are made, e.g. `Dialogue(model="policy", kind=KINDS["vllm"], ids=True,
    seeds=True)`."""

    model: str
    kind: ServerTraits
    ids: bool = False
    """Prefixes are sent as token ids, else as text."""
    seeds: bool = False
    """Every request carries a seed."""
    max_n: int | None = None
    """Most continuations per request. None: as many as this kind of server takes."""
    limit_field: str = "max_tokens"
    chat: bool = False
    """Prompts go to the chat endpoint as a user message, to which the server applies its own template."""
    system: str = ""
    """The system message of a chat."""


class OpenAIEngine:
    """Samples from and scores with the model behind `transport`. `end_ids` end a solution, and `end_id` (default: the
    tokenizer's eos) is written behind one that comes as text. `think` is put around reasoning that a server gives
    apart. `context` is the model's context in tokens. None: only the server knows it.

    `Sample.logprobs` is empty if the server gives none, or not one for every token. If the server draws all
    continuations of a request at once, they share the seed of the first. `seeded` becomes false when a request is
    abandoned at a server that honours seeds only while it handles one request: the server may have gone on drawing.

    >>> engine = OpenAIEngine(transport, Dialogue(model="policy", kind=KINDS["vllm"], ids=True),
    ...     tokenizer, end_ids=[2])  # doctest: +SKIP
    """

    def __init__(
        self,
        transport: Transport,
        dialogue: Dialogue,
        tokenizer: Any,
        *,
        end_ids: Collection[int],
        end_id: int | None = None,
        think: Mark | None = None,
        context: int | None = None,
    ) -> None:
        self.transport, self.usage = transport, Usage()
        self.respelled = 0
        """Number of sampled prefixes that the server read as other ids than those recorded."""
        self.seeded = dialogue.seeds and dialogue.kind.seeded != "never"
        self._dialogue, self._end_ids, self._context = dialogue, end_ids, context
        own = tokenizer.eos_token_id if end_id is None else end_id
        self._text = TextBridge(tokenizer, own, end_ids, think=think, keeps_stop=dialogue.kind.keeps_stop)

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError if prefix and one token do not fit the
        context."""
        body = {**self._prompt(request), **self._sampling(request)}
        greedy = request.sampling.temperature == 0  # vLLM returns only one of these per request
        step = 1 if greedy else self._dialogue.max_n or self._dialogue.kind.max_n or max(1, len(request.seeds))
        parts = [request.seeds[i : i + step] for i in range(0, len(request.seeds), step)]
        samples = [
            sample
            for part in await asyncio.gather(*(self._draw(request, body, part) for part in parts))
            for sample in part
        ]
        self.usage.samples += len(samples)
        return samples

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each token of each continuation. UserError if the server cannot score, or they do not fit
        the context."""
        if not prefix:
            raise UserError("score: an empty prefix; expected at least 1 token.")
        return list(await asyncio.gather(*(self._score(prefix, continuation) for continuation in continuations)))

    async def aclose(self) -> None:
        """Close the connections. The next call opens new ones."""
        await self.transport.aclose()

    def _sampling(self, request: Request) -> dict[str, Any]:
        dialogue, limit = self._dialogue, request.sampling.max_tokens
        if limit < 1:
            raise UserError(f"sampling.max_tokens is {limit}; expected at least 1.")
        if self._context is not None:
            limit = min(limit, self._context - len(request.prefix))
        body = dialogue.kind.sampling(request.sampling, limit, self._end_ids, dialogue.limit_field)
        return {**body, "logprobs": True} if dialogue.chat and "logprobs" in body else body

    def _prompt(self, request: Request) -> dict[str, Any]:
        """The fields of a request's body that hold the prefix."""
        prefix, dialogue = request.prefix, self._dialogue
        if not prefix or (self._context is not None and len(prefix) >= self._context):
            raise UserError(
                f"generate: a prefix of {len(prefix)} tokens; expected at least 1, and one token must fit behind it "
                f"into the model's context of {self._context}. Shorten the prompt or choose a model with a longer "
                "context."
            )
        sampled = request.prompt_length is not None and request.prompt_length < len(prefix)
        if dialogue.chat:
            if sampled:
                raise UserError(
                    "A chat endpoint cannot go on from half an answer, as search must; use a server with /completions."
                )
            system = [{"role": "system", "content": dialogue.system}] if dialogue.system else []
            return {"messages": [*system, {"role": "user", "content": self._text.message(prefix)}]}
        return {"prompt": list(prefix) if dialogue.ids else self._spelled(prefix, sampled)}

    def _spelled(self, prefix: Sequence[int], sampled: bool) -> str:
        spelling = self._text.spell(prefix)
        if not (spelling.exact or sampled):
            raise UserError(
                f"The prompt {spelling.text[:80]!r} has other ids when its text is tokenised again, as the server will "
                "do. Use a server that takes ids (engine.prompt: ids), or give the tokenizer of the server's model."
            )
        self.respelled += not spelling.exact
        return spelling.text

    async def _draw(self, request: Request, body: dict[str, Any], seeds: Sequence[int]) -> list[Sample]:
        """One sample per seed. If a server returns fewer than requested, the rest is requested again."""
        samples: list[Sample] = []
        while len(samples) < len(seeds):
            rest = seeds[len(samples) :]
            drawn, spent = await self._complete(request, body, rest)
            self._charge(spent, len(request.prefix), sum(len(sample.token_ids) for sample in drawn))
            samples += drawn[: len(rest)]
        return samples

    async def _complete(
        self, request: Request, body: dict[str, Any], seeds: Sequence[int]
    ) -> tuple[list[Sample], Spent]:
        dialogue = self._dialogue
        more: dict[str, Any] = {"model": dialogue.model} | ({"n": len(seeds)} if len(seeds) > 1 else {})
        if dialogue.seeds:
            more["seed"] = seeds[0] >> 33  # 31 bits: every server accepts these
        path = "/chat/completions" if dialogue.chat else "/completions"
        found = await self.transport.request(
            "POST",
            path,
            {**body, **more},
            lambda answer: (
                [self._sample(choice, request, body[dialogue.limit_field]) for choice in read_choices(answer)],
                read_usage(answer),
            ),
        )
        if dialogue.kind.seeded == "alone" and self.transport.abandoned:
            self.seeded = False
        return found

    def _sample(self, choice: ServerChoice, request: Request, limit: int) -> Sample:
        """A continuation. Malformed if it has unknown ids, or is longer than asked for: by its ids, or by far as text,
        since the server's tokenizer may be another one."""
        if choice.ids is not None and len(choice.ids) > limit:
            raise Malformed(f"{len(choice.ids)} tokens where {limit} were asked for")
        if choice.ids and (largest := max(choice.ids)) >= self._text.id_limit:
            raise Malformed(f"token {largest}, which the policy's tokenizer does not have")
        if (length := len(choice.text) + len(choice.thought)) > 100 * limit + 10_000:
            raise Malformed(f"a text of {length} characters where {limit} tokens were asked for")
        sample = self._text.sample(choice, request.sampling)
        if choice.ids is None and len(sample.token_ids) > 4 * limit + 64:
            raise Malformed(f"a text of {len(sample.token_ids)} tokens where {limit} were asked for")
        return sample

    async def _score(self, prefix: Sequence[int], continuation: Sequence[int]) -> list[float]:
        ids, way = [*prefix, *continuation], self._dialogue.kind.score
        if way is None or not self._dialogue.ids or self._dialogue.chat:
            raise UserError(
                "score: this server gives no log-probs of given ids. Use engine.server: vllm, or an engine in this "
                "process."
            )
        if not continuation:
            return []
        body = {"model": self._dialogue.model, **scoring_body(way, ids)}
        scores, spent = await self.transport.request(
            "POST",
            "/completions",
            body,
            lambda answer: (read_scores(way, answer, ids, len(prefix)), read_usage(answer)),
        )
        self._charge(spent, len(ids), 1)
        self.usage.scored_tokens += len(continuation)
        return scores

    def _charge(self, spent: Spent, prompt: int, generated: int) -> None:
        """Count the tokens that the server reports, else those that were seen."""
        self.usage.requests += 1
        self.usage.prompt_tokens += prompt if spent.prompt is None else spent.prompt
        self.usage.generated_tokens += generated if spent.generated is None else spent.generated
        self.usage.cached_tokens += spent.cached
