"""`sft` with a value head in the same pass, from several sources, and what it says before it trains."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.records.labels import ValueTarget
from data_gen.records.segment import Kind, Segment
from data_gen.records.solution import Solution
from data_gen.verifiers.checkpoint import load_verifier
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.head_files import load_head
from data_gen.verifiers.reading import Readout
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.models.engine import in_process
from reasoning_train.models.policy import load_policy
from reasoning_train.recipe.asked import asked
from reasoning_train.stages.sft import SFTConfig
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.data import preflight
from tests.reasoning_train.bench import Bench, points, solution
from tests.reasoning_train.stages.test_train_verifier import targets

VALUE: dict[str, Any] = {"targets": Ref("values"), "head": {"activation": "tanh", "scale": "signed"}}
JOINT = ["cross_entropy", {"uses": "mse", "weight": 0.5}]


def right_ones(bench: Bench) -> list[Solution]:
    """The right paths of the value targets, as solutions."""
    codec, made = bench.policy().codec, []
    for i, row in enumerate(targets(bench, 8, scale="signed")[::2]):
        [question] = [row.prompt.strip()]
        made.append(solution(row.problem_id, "", prompt=question, sample=i, segments=codec.split(row.token_ids)))
    return made


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A fresh policy, paths with values, and the right ones as solutions."""
    bench.model()
    bench.make("values", "t_targets", rows=[row.to_row() for row in targets(bench, 8, scale="signed")])
    bench.solutions("kept", right_ones(bench))
    return bench


def train(bench: Bench, name: str = "joint", **config: Any) -> Artifact:
    fixed: dict[str, Any] = {
        "data": Ref("kept"),
        "learning_rate": 0.01,
        "batch_size": 12,
        "max_steps": 40,
        "value": VALUE,
        "losses": JOINT if config.get("value", VALUE) else ["cross_entropy"],
        "packing": "tree",
    }
    return bench.make(name, "sft", policy=Ref("model"), **{**fixed, **config})


def test_a_joint_model_writes_the_right_path_and_values_both(kitchen: Bench) -> None:
    artifact = train(kitchen)
    folder, rows = artifact.path / "model", targets(kitchen, 8, scale="signed")
    assert (
        artifact.manifest["counts"] == {"in": 12, "out": 12}
        and artifact.manifest["metrics"]["labels"]["title"] == "targets"
    )
    assert load_head(folder).config.activation == "tanh"
    forward = Forward(load_verifier(folder))
    ids = [(*row.prompt_ids, *row.token_ids) for row in rows]
    values = [forward.values([Readout(each, (len(each) - 1,))])[0][0] for each in ids]
    assert min(values[::2]) > 0.5 and max(values[1::2]) < -0.5
    policy = load_policy(folder)

    async def program(row: ValueTarget, lm: LM) -> Sample:
        [sample] = await lm.generate(row.prompt_ids, 1, Sampling(max_tokens=20, temperature=0.0))
        return sample

    written = run_programs(
        in_process(policy, head=load_head(folder)), rows[::2], program, seed=0, key=lambda r: r.problem_id, in_flight=4
    )
    for row, sample in written:
        assert sample.token_ids == row.token_ids
        assert sample.value == pytest.approx(values[rows.index(row)], abs=1e-5)  # from the same forward


def test_both_terms_are_drawn_and_packing_does_not_change_them(kitchen: Bench) -> None:
    found = [points(train(kitchen, packing, packing=packing, max_steps=20)) for packing in ("tree", "sequence", "none")]
    for point, other, third in zip(*found, strict=True):
        assert point["loss"] == pytest.approx(point["loss_cross_entropy"] + 0.5 * point["loss_mse"], rel=1e-5)
        for name in ("loss", "loss_cross_entropy", "loss_mse", "grad_norm"):
            assert other[name] == pytest.approx(point[name], rel=1e-4) and third[name] == pytest.approx(
                point[name], rel=1e-4
            )


def test_it_goes_on_with_the_head_that_it_finds(kitchen: Bench) -> None:
    train(kitchen)
    again = kitchen.make(
        "second",
        "sft",
        policy=Ref("joint"),
        data=Ref("kept"),
        value=VALUE,
        losses=JOINT,
        learning_rate=1e-9,
        batch_size=12,
        max_steps=1,
        packing="tree",
    )
    first, second = (
        load_file(kitchen.store.open(kitchen.nodes[n]).path / "model" / "head" / "head.safetensors")
        for n in ("joint", "second")
    )
    assert again.manifest["metrics"]["steps"] == 1 and all(
        torch.allclose(first[k], second[k], atol=1e-6) for k in first
    )


def test_sources_with_shares(kitchen: Bench) -> None:
    kitchen.gold()
    mixed = [{"solutions": Ref("gold"), "share": 1}, {"solutions": Ref("kept"), "share": 3}]
    artifact = train(kitchen, data=mixed, value=None, batch_size=8, max_steps=10, packing="sequence")
    assert artifact.manifest["counts"] == {"in": 28, "out": 28}
    with pytest.raises(ValueError, match="a list needs two or more sources and no `value`"):
        sft(data=mixed, value=VALUE, losses=JOINT)


def sft(**config: Any) -> SFTConfig:
    return SFTConfig.model_validate({"policy": Ref("m"), "data": Ref("kept"), "learning_rate": 1.0, **config})


def test_the_default_losses_follow_from_value() -> None:
    """They ask for the same as when they are written out, so the key is the same; without `value` they ask for
    nothing."""
    assert asked(sft(value=VALUE)) == asked(sft(value=VALUE, losses=["cross_entropy", "mse"]))
    assert [loss.uses for loss in sft(value=VALUE).losses] == ["cross_entropy", "mse"]
    assert "losses" not in asked(sft()) and [loss.uses for loss in sft().losses] == ["cross_entropy"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"value": VALUE, "losses": ["cross_entropy", "bce"]},
            "'bce' needs a head with activation 'sigmoid' and scale",
        ),
        ({"value": VALUE, "losses": ["cross_entropy"]}, "no loss reads the targets of `value`; expected one that does"),
        ({"losses": ["mse"]}, "'mse' reads a value head and targets for it, which sft does not have; expected some of"),
        ({"losses": ["dpo"]}, "'dpo' reads pairs of a better and a worse continuation and log-probabilities of a ref"),
        ({"losses": []}, "the list is empty; expected some of cross_entropy, entropy, sparse_kl"),
        ({"losses": ["cross_entropi"]}, "'cross_entropy'"),
    ],
    ids=str,
)
def test_losses_that_do_not_fit_are_refused_when_the_recipe_loads(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sft(**config)


@pytest.mark.parametrize("other", [{"held_out": {}}, {"ema": 0.9}])
def test_until_publishes_what_met_its_bar(other: dict[str, Any]) -> None:
    until = {"problems": Ref("dev"), "accuracy": 0.5}
    with pytest.raises(ValueError, match=f"{next(iter(other))}: `until` publishes the weights that met its bar"):
        SFTConfig(policy=Ref("m"), data=Ref("kept"), until=until, learning_rate=1.0, **other)  # type: ignore[arg-type]


def test_an_empty_source_is_named(kitchen: Bench) -> None:
    kitchen.gold()
    kitchen.solutions("cut", [solution("p0", "12 + 8 = 20\n", finish="length")])
    with pytest.raises(
        GateError,
        match=(
            r"sft: no rows of cut to train on \(.* 1 cut when sampled\)\. The first cut when sampled: problem 'p0', "
            r".*12 \+ 8"
        ),
    ):
        train(kitchen, data=[{"solutions": Ref("gold")}, {"solutions": Ref("cut")}], value=None)


def test_targets_of_one_class_and_none_at_all_are_refused(kitchen: Bench) -> None:
    rows = targets(kitchen, 8, scale="signed")
    kitchen.make("right", "t_targets", rows=[row.to_row() for row in rows[::2]])
    with pytest.raises(
        GateError, match=r"sft: 0 of 8 targets are wrong .* The first that is right: problem 'p0', '.*‹›"
    ):
        train(kitchen, value={**VALUE, "targets": Ref("right")})
    inner = [
        replace(row, at=row.at[:1], values=row.values[:1], n_eff=row.n_eff[:1], weights=row.weights[:1]) for row in rows
    ]
    kitchen.make("inner", "t_targets", rows=[row.to_row() for row in inner])
    value = {**VALUE, "targets": Ref("inner"), "head": {**VALUE["head"], "read_at": "last"}}
    with pytest.raises(
        GateError, match=r"sft: no row has a target where the head is read .* 8 without a target .*: problem 'p0', "
    ):
        train(kitchen, value=value)


def test_a_joint_model_of_kept_adapters_is_read_as_a_verifier(kitchen: Bench) -> None:
    """As its merged twin is."""
    [row, *_], found = targets(kitchen, 8, scale="signed"), []
    for adapter in ("keep", "merge"):
        made = train(kitchen, adapter, lora={"r": 4}, adapter=adapter, max_steps=3)
        ids = (*row.prompt_ids, *row.token_ids)
        [[value]] = Forward(load_verifier(made.path / "model")).values([Readout(ids, (len(ids) - 1,))])
        found.append(value)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_the_log_shows_rows_labels_and_memory_before_training(
    kitchen: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    train(kitchen, max_steps=1)
    said = capsys.readouterr().out
    assert "sft: 12 of 12 rows; dropped: none; tokens of a trace:" in said
    assert "behind tokens where a value is read:\nAna has 1.\n⟦1 + 1 = 2\nAnswer: 2<eos>⟧\n" in said
    assert "targets: -1 to -0.8 8, 0.8 to 1 8" in said
    assert re.search(
        r"[\d,]+ weights are trained; gradients and optimizer take [\d.]+ GiB and a pass of [1-9][0-9]* tokens "
        r"keeps about",
        said,
    )


def test_too_little_memory_is_told_before_training(kitchen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_bytes", lambda: 1000)
    with pytest.raises(
        GateError,
        match=r"memory: gradients and optimizer states of [\d,]+ trained weights take .* Lower `micro_tokens`",
    ):
        train(kitchen)


def test_early_stops_and_averages_through_the_stage(kitchen: Bench) -> None:
    artifact = train(kitchen, held_out={"share": 0.25, "every": 5, "patience": 2}, ema=0.9)
    evaluated = [point for point in points(artifact) if "dev_loss" in point]
    held = artifact.manifest["metrics"]["held_out"]
    assert (
        evaluated[0]["step"] == 5
        and held["evaluations"] == len(evaluated)
        and held["best_loss"] == min(point["dev_loss"] for point in evaluated)
    )
    assert artifact.manifest["counts"]["held_out"] == 3  # a problem's solution and its two paths


def test_segments_of_a_kind_can_be_masked(kitchen: Bench) -> None:
    said = Segment(kind=Kind.STEP, text="1 + 1 = 2\n"), Segment(kind=Kind.THINK, text="2\n")
    rows = [solution(f"p{i}", "", segments=said) for i in range(4)]
    kitchen.solutions("tools", rows)
    losses = [
        points(train(kitchen, f"m{i}", data=Ref("tools"), value=None, max_steps=10, masked=masked))
        for i, masked in enumerate(([], ["think"]))
    ]
    assert losses[0][0]["loss"] != losses[1][0]["loss"]
