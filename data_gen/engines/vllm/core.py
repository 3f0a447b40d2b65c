"""vLLM's engine as futures: prompts in, finished outputs out, stepped by a pump in the event loop that asks.

vLLM runs in this process, so no death of another process has to be detected, and between two steps every runnable
program runs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from data_gen.engines.base import Usage
from data_gen.engines.pump import Pump
from data_gen.engines.vllm.start import Running
from data_gen.errors import UserError


@contextmanager
def explained() -> Iterator[None]:
    """UserError for a request that vLLM refuses: settings outside its ranges, ids outside the vocabulary."""
    from vllm.exceptions import VLLMClientError

    try:
        yield
    except (VLLMClientError, ValueError) as error:
        raise UserError(
            f"vLLM refuses a request: {error}. Change the sampling or the prefix, or choose another engine."
        ) from error


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row for vLLM: `Prompt([5, 9], SamplingParams(...))`, under the adapter of a `LoRARequest`, if any."""

    ids: list[int]
    params: Any
    adapter: Any = None


def end_settings(end_ids: Iterable[int], stop: Iterable[str]) -> dict[str, Any]:
    """Fields of vLLM's `SamplingParams` for what ends a continuation and is kept. Nothing else ends it."""
    return {
        "stop": list(stop),
        "include_stop_str_in_output": True,
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "stop_token_ids": sorted(end_ids),
        "ignore_eos": True,
    }


class VllmCore:
    """Rows in progress in one `LLMEngine`."""

    def __init__(self, running: Running) -> None:
        self._running: Running | None = running
        self.llm: Any = running.llm
        self._pump = Pump(self)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()

    async def ask(self, prompts: Sequence[Prompt], usage: Usage) -> list[Any]:
        """The finished `RequestOutput` of every prompt, in order. If this is cancelled, all are abandoned. Their cost
        goes to `usage`."""
        asked: dict[str, asyncio.Future[Any]] = {}
        try:
            for prompt in prompts:
                name = str(next(self._numbers))
                self._add(name, prompt)
                asked[name] = self._waiting[name] = asyncio.get_running_loop().create_future()
            self._pump.wake()
            return list(await asyncio.gather(*asked.values()))
        except BaseException:
            usage.generated_tokens += self._abort(asked.keys() & self._waiting.keys())
            raise

    @property
    def busy(self) -> bool:
        """Whether any row is in progress."""
        return bool(self._waiting)

    def step(self) -> bool:
        """One step of vLLM: a token for every running row."""
        finished = [output for output in self.llm.step() if output.finished]
        for output in finished:
            future = self._waiting.pop(output.request_id, None)
            if future and not future.done():
                future.set_result(output)
        return bool(finished)

    def fail(self, error: Exception) -> None:
        """Every row ends with `error`. Blocks that the failed step was to fill already count as cached, so the cache is
        emptied."""
        waiting = self._waiting
        self._abort(set(waiting))
        self.llm.reset_prefix_cache()
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)

    def close(self) -> None:
        """Release everything. Closing twice is fine."""
        running, self._running, self.llm = self._running, None, None
        if running is not None:
            running.end()

    def _add(self, name: str, prompt: Prompt) -> None:
        if self.llm is None:
            raise RuntimeError("this VllmEngine is closed")
        with explained():
            self.llm.add_request(
                name, {"type": "token", "prompt_token_ids": prompt.ids}, prompt.params, lora_request=prompt.adapter
            )

    def _abort(self, names: set[str]) -> int:
        """Abandon these rows and count the tokens that they had generated."""
        self._waiting = {name: future for name, future in self._waiting.items() if name not in names}
        if self.llm is None or not names:
            return 0
        states = self.llm.output_processor.request_states.values()
        spent = sum(state.detokenizer.num_output_tokens() for state in states if state.external_req_id in names)
        self.llm.abort_request(list(names))
        return spent
