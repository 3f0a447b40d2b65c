"""Batched values equal plain forwards and, on a CPU with one thread, do not depend on their company in any bit."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence

import pytest
import torch

from data_gen.records.scales import Scale
from data_gen.verifiers import forward, gather
from data_gen.verifiers.checkpoint import Verifier
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.gather import Gather, Values
from data_gen.verifiers.heads import HeadConfig
from data_gen.verifiers.reading import Readout
from tests.data_gen.verifiers.tiny import verifier, words


def readings(n: int, seed: int = 0, longest: int = 110) -> list[Readout]:
    rng, found = random.Random(seed), []
    for _ in range(n):
        length = rng.randint(1, longest)
        ids = tuple(rng.randrange(2, len(words())) for _ in range(length))
        found.append(Readout(ids, tuple(sorted({length - 1, *(rng.randrange(length) for _ in range(3))})), (length,)))
    return found


def trees(n: int, seed: int = 0) -> list[Readout]:
    """Paths of random trees over three letters, whose nodes share tokens, beginnings of nodes, and everything up to a
    node."""
    rng, found = random.Random(seed), []
    for _ in range(n):
        cuts = list(itertools.accumulate(rng.randint(1, 19) for _ in range(rng.randint(1, 6))))
        stem = random.Random(rng.randrange(6))
        ids = tuple(stem.choices((2, 3, 4), [6, 1, 1], k=cuts[-1]))
        found.append(
            Readout(ids, tuple(sorted({cuts[-1] - 1, *(cut - 1 for cut in cuts if rng.random() < 0.5)})), tuple(cuts))
        )
    return found


@torch.no_grad()
def plain(v: Verifier, reading: Readout) -> torch.Tensor:
    output = v.backbone(input_ids=torch.tensor([reading.ids]))
    features = output.logits if v.head.config.kind == "from_vocab" else output.last_hidden_state
    return v.head(features)[0, list(reading.at)]


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "head",
    [
        HeadConfig(),
        HeadConfig(activation="tanh", scale=Scale.SIGNED),
        HeadConfig(kind="two_layer", labels=2, positive=1),
        HeadConfig(kind="from_vocab", activation="none", scale=Scale.RANKING),
    ],
    ids=str,
)
def test_values_equal_plain_forwards(family: str, head: HeadConfig) -> None:
    v, asked = verifier(head, family=family), readings(40)
    check(v, asked, Forward(v).values(asked))


def check(v: Verifier, asked: list[Readout], found: list[Values]) -> None:
    for reading, values in zip(asked, found, strict=True):
        assert len(values) == len(reading.at)
        assert torch.allclose(torch.tensor(values), plain(v, reading), atol=2e-5)
    assert len({values[-1] for values in found}) > 0.8 * len({reading.ids for reading in asked})


@pytest.mark.parametrize("kind", ["scalar", "two_layer", "from_vocab"])
def test_company_changes_no_bit(kind: str, one_thread: None) -> None:
    v, asked = verifier(HeadConfig(kind=kind)), readings(60)
    run = Forward(v).values
    alone = [run([reading])[0] for reading in asked]
    assert run(asked) == alone
    assert run(asked[::-1]) == alone[::-1]
    assert run(asked + readings(17, seed=3))[:60] == alone


def test_what_does_not_fit_one_forward_takes_several(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    v, asked = verifier(), readings(60)
    expected, rows = Forward(v).values(asked), []
    monkeypatch.setattr(forward, "TOKENS", 1024)
    v.backbone.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    assert Forward(v).values(asked) == expected
    assert max(n * width for n, width in rows) <= 1024 and {n % 8 for n, _ in rows} == {0}


def test_nothing_is_read_of_nothing() -> None:
    assert Forward(verifier()).values([]) == []


class Counted:
    """A forward that counts what it is given: a reading's value is its first id."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, asked: Sequence[Readout]) -> list[Values]:
        self.calls.append(len(asked))
        if any(reading.ids[0] == 13 for reading in asked):
            raise RuntimeError("thirteen")
        return [(float(reading.ids[0]),) for reading in asked]


def one(i: int) -> Readout:
    return Readout((i,), (0,))


def test_programs_that_wait_together_share_a_forward() -> None:
    counted = Counted()
    shared = Gather(counted)

    async def program(i: int, turns: int) -> list[Values]:
        for _ in range(turns):
            await asyncio.sleep(0)
        first = await shared.values([one(100 + i), one(200 + i)])
        return first + await shared.values([one(300 + i)])

    async def main() -> list[list[Values]]:
        return list(await asyncio.gather(*(program(i, i % 3) for i in range(20))))

    found = asyncio.run(main())
    assert found == [[(100.0 + i,), (200.0 + i,), (300.0 + i,)] for i in range(20)]
    assert counted.calls == [40, 20]


def test_a_full_batch_does_not_wait_for_stragglers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer in every turn of the event loop would else keep all waiting to the end."""
    monkeypatch.setattr(gather, "FULL", 8)
    counted = Counted()
    shared = Gather(counted)

    async def main() -> None:
        tasks = []
        for i in range(40):
            tasks.append(asyncio.ensure_future(shared.values([one(100 + i)])))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert sum(counted.calls) == 40 and max(counted.calls) <= 10


def test_a_reading_is_read_once() -> None:
    counted = Counted()
    shared = Gather(counted)

    async def main() -> list[Values]:
        await asyncio.gather(shared.values([one(5), one(6)]), shared.values([one(6), one(5), one(5)]))
        return await shared.values([one(6), one(7)])

    assert asyncio.run(main()) == [(6.0,), (7.0,)]
    assert counted.calls == [2, 1]
    assert asyncio.run(shared.values([one(5)])) == [(5.0,)] and counted.calls == [2, 1]  # in another event loop, too


def test_other_positions_are_another_reading() -> None:
    counted = Counted()
    shared = Gather(counted)
    asyncio.run(
        shared.values(
            [
                Readout((5, 6), (0,)),
                Readout((5, 6), (1,)),
                Readout((5, 6), (0, 1)),
                Readout((0, 5, 6), (1,)),
            ]
        )
    )
    assert counted.calls == [4]


def test_only_the_last_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "KEPT", 2)
    counted = Counted()
    shared = Gather(counted)

    async def main() -> None:
        for i in (1, 2, 1, 3, 1, 2):  # 1 is asked for again and again, so 2 goes when 3 comes
            await shared.values([one(i)])

    asyncio.run(main())
    assert len(counted.calls) == 4


def test_a_failed_forward_fails_those_who_waited_and_nobody_else() -> None:
    shared = Gather(Counted())

    async def main() -> list[Values]:
        both = await asyncio.gather(shared.values([one(13)]), shared.values([one(5)]), return_exceptions=True)
        assert [str(error) for error in both] == ["thirteen", "thirteen"]
        return await shared.values([one(5)])

    assert asyncio.run(main()) == [(5.0,)]


def test_who_gives_up_leaves_the_others_their_values() -> None:
    counted = Counted()
    shared = Gather(counted)

    async def main() -> list[Values]:
        quitter, stayer = (asyncio.ensure_future(shared.values([one(5)])) for _ in range(2))
        lonely = asyncio.ensure_future(shared.values([one(6)]))
        await asyncio.sleep(0)
        quitter.cancel()
        lonely.cancel()
        return await stayer

    assert asyncio.run(main()) == [(5.0,)] and counted.calls == [1]
