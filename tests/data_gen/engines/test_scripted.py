"""The scripted engine's bookkeeping."""

from __future__ import annotations

import math

import pytest

from data_gen.engines.base import LM, Sample, Sampling, stream_seed
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from tests.data_gen.engines.tiny import once


def test_a_table_answers_and_cuts_and_counts() -> None:
    engine = ScriptedEngine({(1, 2): (3, 4, 5)})

    async def program(lm: LM) -> list[Sample]:
        whole = await lm.at("whole").generate((1, 2), 2, Sampling(max_tokens=3))
        return whole + await lm.at("cut").generate((1, 2), 1, Sampling(max_tokens=2))

    samples = once(engine, program)
    assert [(s.token_ids, s.finish) for s in samples] == [((3, 4, 5), "stop"), ((3, 4, 5), "stop"), ((3, 4), "length")]
    assert samples[2].logprobs == (-math.log(2),) * 2
    usage = engine.usage
    assert (usage.requests, usage.samples, usage.prompt_tokens, usage.generated_tokens) == (2, 3, 4, 8)


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(UserError, match=r"no continuation for the prefix \(9,\)"):
        once(ScriptedEngine({}), lambda lm: lm.generate((9,), 1, Sampling(max_tokens=1)))


def test_seeds_reach_the_script_by_path_and_sample() -> None:
    async def program(item: str, lm: LM) -> list[Sample]:
        return await lm.at("x").generate((1,), 2, Sampling(max_tokens=1))

    engine = ScriptedEngine(lambda prefix, seed: (seed,))
    [(_, samples)] = run_programs(engine, ["p"], program, seed=5, key=str, in_flight=1)
    assert [s.token_ids[0] for s in samples] == [stream_seed(5, "p", "x", 0), stream_seed(5, "p", "x", 1)]


def test_scores_are_half_a_token() -> None:
    engine = ScriptedEngine({})
    assert once(engine, lambda lm: lm.score((1, 2), [(3,)])) == [[-math.log(2)]]
    assert (engine.usage.scored_tokens, engine.usage.prompt_tokens) == (1, 2)
