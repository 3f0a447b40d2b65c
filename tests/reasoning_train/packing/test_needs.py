"""What losses need beside chosen tokens is the same however traces are packed: an entropy, a divergence from a
teacher's likeliest tokens, the student's own likeliest, and a probe of hidden states; gradients too."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from reasoning_train.packing.batch import collate
from reasoning_train.packing.columns import TraceColumns
from reasoning_train.packing.rows import Row, Trace
from reasoning_train.trainers import objective as objective_module
from reasoning_train.trainers.logprobs import read_logits
from reasoning_train.trainers.losses.base import Loss, Needs, predicted_weight
from reasoning_train.trainers.losses.cross_entropy import CrossEntropy
from reasoning_train.trainers.losses.entropy import Entropy
from reasoning_train.trainers.losses.sparse_kl import IDS, LOGPROBS, SparseKL
from reasoning_train.trainers.objective import Objective
from reasoning_train.trainers.outputs import Outputs
from tests.reasoning_train.packing.test_tree_attention import close
from tests.reasoning_train.packing.tiny import FAMILIES, VOCAB, model, trace

K = 3


class Probe(Loss):
    """Squares of states of two layers, where tokens are predicted and where values are read."""

    uses: Literal["probe"] = "probe"
    reads = ("tokens",)

    @property
    def needs(self) -> Needs:
        return Needs(layers=(1, -1))

    def normalizer(self, row: Row) -> float:
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        at_tokens = (out.hidden(1) ** 2).sum(-1) * out.batch["token_weight"]
        at_values = (out.hidden(-1, at="values") ** 2).sum(-1) * out.batch["value_target"]
        return 0.01 * (at_tokens.sum() + at_values.sum())


class Sure(Loss):
    """The mean log-probability of the likeliest two tokens."""

    uses: Literal["sure"] = "sure"
    reads = ("tokens",)

    @property
    def needs(self) -> Needs:
        return Needs(top=2)

    def normalizer(self, row: Row) -> float:
        return predicted_weight(row)

    def __call__(self, out: Outputs) -> Tensor:
        ids, logprobs = out.top(2)
        assert ids.shape == logprobs.shape == (len(out.logprobs), 2)
        return -(logprobs.sum(-1) * out.batch["token_weight"]).sum()


LOSSES: list[Loss] = [CrossEntropy(), Entropy(weight=-0.1), SparseKL(), Probe(), Sure()]


def taught(one: Trace, teacher: int) -> Trace:
    """With a teacher's three likeliest tokens at each place, which follow from the tokens before it, as they do."""

    def told(t: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        rng = random.Random(f"{teacher} {one.ids[:t]}")
        shares = sorted((rng.random() for _ in range(K + 1)), reverse=True)
        return tuple(rng.sample(range(VOCAB), K)), tuple((torch.tensor(shares[:K]) / sum(shares)).log().tolist())

    ids, logprobs = zip(*map(told, range(len(one))), strict=True)
    return replace(one, columns={IDS: ids, LOGPROBS: logprobs})


def rows(seed: int, teachers: int) -> list[Row]:
    """Solutions of one problem that share beginnings; every second one of another teacher where there are two."""
    rng = random.Random(seed)
    pool = [tuple(rng.randrange(VOCAB) for _ in range(3))]
    for _ in range(9):
        stem = rng.choice(pool)
        pool.append((*stem[: rng.randint(2, len(stem))], *(rng.randrange(4) for _ in range(rng.randint(1, 5)))))
    traces = [trace(*ids, prompt=2, values=True) for ids in pool[1:]]
    return [Row((taught(one, i % teachers),), group="p") for i, one in enumerate(traces)]


def single(module: Objective, one: Trace) -> Iterator[Tensor]:
    """The terms of one trace by the stock model, from logits and states of all its positions."""
    out = module.model(input_ids=torch.tensor([one.ids]), use_cache=False, output_hidden_states=True)
    logp, weights = out.logits[0, :-1].float().log_softmax(-1), torch.tensor(one.weights[1:])
    yield -(logp[torch.arange(len(one) - 1), list(one.ids[1:])] * weights).sum()
    yield -((logp.exp() * logp).sum(-1) * weights).sum()
    p = torch.tensor(one.columns[LOGPROBS][1:]).exp()
    q = logp.gather(-1, torch.tensor(one.columns[IDS][1:])).exp()
    p, q = (torch.cat((x, 1 - x.sum(-1, keepdim=True)), -1) for x in (p, q))
    yield ((p * (p.log() - q.log())).sum(-1) * weights).sum()
    at_tokens = ((out.hidden_states[1][0, :-1] ** 2).sum(-1) * weights).sum()
    at_values = ((out.hidden_states[-1][0, list(one.at)] ** 2).sum(-1) * torch.tensor(one.targets)).sum()
    yield 0.01 * (at_tokens + at_values)
    yield -(logp.topk(2).values.sum(-1) * weights).sum()


def learn(module: Objective, terms: Tensor) -> tuple[Tensor, Tensor]:
    """The terms and their gradient."""
    module.zero_grad()
    (terms * torch.tensor([loss.weight for loss in module.losses.values()])).sum().backward()
    return terms.detach(), torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def passed(module: Objective, packs: list[list[Row]], **how: Any) -> Tensor:
    found = module(collate(packs, 0, **how))
    return torch.stack([found[name] for name in module.losses])


@pytest.mark.parametrize("teachers", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_as_trees_side_by_side_and_alone_it_is_the_same(family: str, teachers: int) -> None:
    module, made = Objective(model(family, "eager"), LOSSES), rows(teachers, teachers)
    alone = [torch.stack([*single(module, one)]) for row in made for one in row.traces]
    wanted, known = learn(module, torch.stack(alone).sum(0))
    arms = [
        torch.stack([passed(module, [[row]]) for row in made]).sum(0),
        passed(module, [made]),
        passed(module, [made[:4], made[4:]], share=True),
    ]
    with module.packed("tree") as attention:
        arms.append(passed(module, [made], share=True, attention=attention))
        for terms in arms:
            found, gradient = learn(module, terms)
            assert torch.allclose(found, wanted, rtol=1e-5)
            assert close(gradient, known)


@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_chunks_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module, made = Objective(model("llama"), LOSSES), rows(3, 2)
    wanted, known = learn(module, passed(module, [made], share=True))
    monkeypatch.setattr(objective_module, "read_logits", lambda *a, **how: read_logits(*a, **how, chunk=chunk))
    found, gradient = learn(module, passed(module, [made], share=True))
    assert torch.allclose(found, wanted, rtol=1e-5) and close(gradient, known)


def test_recomputed_layers_change_nothing() -> None:
    """Gradient checkpointing keeps what enters a layer, which is what a probe of the layer below reads."""
    net, made = model("llama").train(), rows(5, 1)
    wanted, known = learn(Objective(net, LOSSES), passed(Objective(net, LOSSES), [made]))
    net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    module = Objective(net, LOSSES)
    found, gradient = learn(module, passed(module, [made]))
    assert torch.allclose(found, wanted, rtol=1e-5) and close(gradient, known)


def test_shared_tokens_are_predicted_once_unless_they_have_other_columns() -> None:
    ids = ((0, 0), (0, 0), (4, 7), (1, 3))
    one = Trace((5, 6, 7, 8), (0.0, 0.0, 1.0, 1.0), columns={"ids": ids, "gain": (0.0, 0.0, 0.5, 0.25)})
    same = replace(one, ids=(5, 6, 7, 9), columns={"ids": ids, "gain": (0.0, 0.0, -0.5, 0.75)})
    other = replace(one, ids=(5, 6, 7, 9), columns={"ids": ((0, 0), (0, 0), (4, 6), (1, 3)), "gain": (0.0,) * 4})
    batch = collate([[Row((one, same))]], 0, share=True)
    assert batch["token"].tolist() == [0, 1, 0, 2]
    assert batch["ids.ids"].tolist() == [[4, 7], [1, 3], [1, 3]]
    assert batch["column.ids"].tolist() == [[4, 7], [1, 3], [4, 7], [1, 3]]
    assert batch["column.gain"].tolist() == [0.5, 0.25, -0.5, 0.75]
    batch = collate([[Row((one, other))]], 0, share=True)
    assert batch["predict_at"].tolist() == [1, 2, 1, 2] and batch["predict_label"].tolist() == [7, 8, 7, 9]
    assert batch["ids.ids"].tolist() == [[4, 7], [1, 3], [4, 6], [1, 3]]


def test_columns_that_not_all_traces_have_do_not_travel() -> None:
    one = Trace((5, 6), (0.0, 1.0), columns={"ids": ((0,), (4,)), "gain": (0.0, 1.0)})
    batch = collate([[Row((one,)), Row((replace(one, columns={"gain": (0.0, 2.0)}),))]], 0)
    assert [name for name in batch if name.startswith(("column.", "ids."))] == ["column.gain"]
    with pytest.raises(ValueError, match="trace 0 has 2 tokens and 1 entries in its column 'ids'; expected as many"):
        TraceColumns([replace(one, columns={"ids": ((4,),)})])


def test_paths_that_only_have_values_need_no_columns() -> None:
    """As in a joint training; also where they are alone in a pass."""
    module, [taught_row, *_] = Objective(model("llama"), LOSSES), rows(1, 1)
    ids = taught_row.traces[0].ids
    path = Row((Trace(ids, (0.0,) * len(ids), (len(ids) - 1,), (0.0,), (1.0,)),))
    with torch.no_grad():
        alone, both = (passed(module, [pack], share=True) for pack in ([taught_row], [taught_row, path]))
        assert torch.allclose(alone, both, rtol=1e-5)
        assert not passed(module, [[path]]).any()
        with pytest.raises(ValueError, match="not all rows with a trained token have the column 'teacher_ids'"):
            passed(module, [[taught_row, Row((trace(*ids),))]])


def test_a_pass_without_a_trained_token_has_its_columns() -> None:
    """Ranks that sit out a step run the same collective calls."""
    one = Trace((5, 6), (0.0, 0.0), columns={"ids": ((0, 1), (4, 2)), "gain": (0.0, 1.0)})
    batch = collate([[Row((one,))]], 0)
    assert batch["ids.ids"].shape == batch["column.ids"].shape == (0, 2) and batch["column.gain"].shape == (0,)
