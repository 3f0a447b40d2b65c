"""The vLLM engine: in process, continuously batched, with cached prefixes and LoRA adapters, behind the async interface
of base.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_gen.engines.base import Request, Sample, Usage
from data_gen.engines.config import VllmConfig
from data_gen.engines.limits import check_request, check_score
from data_gen.engines.vllm.adapters import read_adapters
from data_gen.engines.vllm.core import Prompt, VllmCore, end_settings, explained
from data_gen.engines.vllm.scoring import score_continuations
from data_gen.engines.vllm.start import start_vllm
from data_gen.errors import UserError

_63_BITS = (1 << 63) - 1


class VllmEngine:
    """Samples from and scores with the model in the `from_pretrained` folder `weights`.

    Only `end_ids` end a continuation. `adapters` are peft folders that `with_adapter` may apply to the model. vLLM
    starts here and ends with `close`, or with this process. Log-probabilities are of the raw distribution, before
    temperature and top-p. Every sample has its own generator. Ids follow from the seeds up to rounding, which depends
    on the batch as in every engine that is not bitwise `deterministic`. vLLM refuses temperatures above 2 and treats
    those below 0.01 as 0.01 (0 is greedy).

    >>> engine = VllmEngine(Path("model"), end_ids=[2])  # doctest: +SKIP
    >>> request = Request(prefix=(5, 9), sampling=Sampling(max_tokens=8), seeds=(1,))  # doctest: +SKIP
    >>> [sample] = await engine.generate(request)  # doctest: +SKIP
    """

    seeded = True

    def __init__(
        self, weights: Path, *, end_ids: Iterable[int], config: VllmConfig | None = None, adapters: Sequence[Path] = ()
    ) -> None:
        self.usage = Usage()
        self._end_ids = sorted(end_ids)
        loaded = read_adapters(adapters)
        self._adapters = {adapter.folder: adapter for adapter in loaded}
        self._core = VllmCore(start_vllm(weights, config or VllmConfig(), loaded))
        self.context: int = self._core.llm.model_config.max_model_len
        self._adapter: Any = None

    def with_adapter(self, folder: Path) -> VllmEngine:
        """The same running vLLM under one of its `adapters`, with its own usage. Closing either closes both."""
        if folder.resolve() not in self._adapters:
            raise UserError(
                f"adapter {folder} was not among the adapters that this engine was started with; name it there."
            )
        other = self.with_end_ids(self._end_ids)
        other._adapter = self._adapters[folder.resolve()].request()
        return other

    def with_end_ids(self, end_ids: Iterable[int]) -> VllmEngine:
        """The same running vLLM with other ends and its own usage. Closing either closes both."""
        other = object.__new__(VllmEngine)
        other.__dict__.update(self.__dict__, usage=Usage(), _end_ids=sorted(end_ids))
        return other

    @property
    def busy(self) -> bool:
        """Whether any row is in progress."""
        return self._core.busy

    async def generate(self, request: Request) -> list[Sample]:
        """`len(request.seeds)` continuations in seed order. UserError if prefix and one token do not fit the
        context."""
        check_request(request, self.context)
        if not request.seeds:
            return []
        prefix = list(request.prefix)
        with explained():
            prompts = [Prompt(prefix, self._params(request, seed), self._adapter) for seed in request.seeds]
        self.usage.requests += 1
        self.usage.prompt_tokens += len(prefix)
        outputs = await self._core.ask(prompts, self.usage)
        samples = [_sample(output.outputs[0]) for output in outputs]
        self.usage.samples += len(samples)
        self.usage.generated_tokens += sum(len(sample.token_ids) for sample in samples)
        self.usage.cached_tokens += outputs[0].num_cached_tokens or 0
        return samples

    async def score(self, prefix: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each token of each continuation. UserError if the prefix and the longest one together do
        not fit the context."""
        check_score(prefix, continuations, self.context)
        self.usage.requests += 1
        self.usage.prompt_tokens += len(prefix)
        self.usage.scored_tokens += sum(map(len, continuations))
        return await score_continuations(self._core, self._adapter, list(prefix), continuations, self.usage)

    async def aclose(self) -> None:
        """Only the pump belongs to the event loop, and it ends by itself. vLLM stays until `close`."""

    def close(self) -> None:
        """End vLLM: memory, worker processes, shared memory."""
        self._core.close()

    def __enter__(self) -> VllmEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _params(self, request: Request, seed: int) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = request.sampling
        return SamplingParams(
            max_tokens=min(sampling.max_tokens, self.context - len(request.prefix)),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=seed & _63_BITS,
            detokenize=bool(sampling.stop),
            **end_settings(self._end_ids, sampling.stop),
            logprobs=0,
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
        )


def _sample(output: Any) -> Sample:
    flat = output.logprobs
    # A position lists the sampled token first. Others follow if a neighbour in the step asked for some.
    logprobs = tuple(flat.logprobs[start] for start in flat.start_indices)
    return Sample(
        token_ids=tuple(output.token_ids),
        logprobs=logprobs,
        finish="length" if output.finish_reason == "length" else "stop",
    )
