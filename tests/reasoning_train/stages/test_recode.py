"""`recode_targets`, `recode_pairs` through the worker: a verifier with a tokenizer of its own learns from the policy's
labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from data_gen.errors import UserError
from data_gen.records.labels import StepPair, ValueTarget
from data_gen.records.problem import Problem
from data_gen.verifiers.checkpoint import load_verifier
from data_gen.verifiers.forward import Forward
from data_gen.verifiers.reading import PrefixReader, Readout
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Input
from reasoning_train.store.inputs import read_problems, read_solutions
from reasoning_train.store.store import Artifact
from reasoning_train.trainers.score import score_solutions
from tests.data_gen.test_format import bpe
from tests.data_gen.verifiers.tiny import config
from tests.reasoning_train.bench import Bench, problem, rows_of
from tests.reasoning_train.stages.test_dpo import pairs
from tests.reasoning_train.stages.test_train_verifier import pool, targets

FEW: dict[str, Any] = {"policy": Ref("large"), "learning_rate": 0.005, "batch_size": 8, "max_steps": 40}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {"plain_suffix": " ->\n"},
    "chat": {"template": "chat", "system": "Be brief."},
    "step token": {"step_token": "<bos>"},
}


def large(bench: Bench, form: str) -> None:
    """A model that reads bytes and their merges where the policy reads words."""
    folder, tokenizer = bench.store.root.parent / "large", bpe()
    AutoModelForCausalLM.from_config(config(tokenizer=tokenizer, initializer_range=0.12)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    bench.make("large", "model", path=str(folder), format=FORMS[form])


def asked(bench: Bench) -> list[Problem]:
    made = [problem(f"p{i}", f"Ana has {i + 1}.", gold="2") for i in range(8)]
    bench.problems("asked", made)
    return made


def recoded(bench: Bench, rows: list[ValueTarget]) -> Artifact:
    bench.make("labels", "t_targets", rows=[row.to_row() for row in rows])
    return bench.make(
        "theirs",
        "recode_targets",
        targets=Ref("labels"),
        policy=Ref("model"),
        model=Ref("large"),
        problems=Ref("asked"),
    )


def source(bench: Bench, name: str, kind: str) -> Input:
    artifact = bench.store.open(bench.nodes[name])
    return Input(path=artifact.path / "data", kind=kind, manifest=artifact.manifest)


@pytest.mark.parametrize("form", FORMS)
def test_a_verifier_learns_and_reads_in_its_own_tokens(kitchen: Bench, form: str) -> None:
    large(kitchen, form)
    asked(kitchen)
    pool(kitchen)
    assert recoded(kitchen, targets(kitchen)).manifest["counts"] == {"in": 16, "out": 16}
    artifact = kitchen.make("verifier", "train_verifier", targets=Ref("theirs"), **FEW)
    verifier, codec = load_verifier(artifact.path / "verifier"), kitchen.policy().codec
    assert not PrefixReader(verifier.codec, codec, "step_end").shares_ids
    solutions = [(p, []) for p in read_problems(source(kitchen, "questions", "problems"))]
    for solution in read_solutions(source(kitchen, "pool", "solutions")):
        next(drawn for p, drawn in solutions if p.id == solution.problem_id).append(solution)
    for _, _, values in score_solutions(verifier, codec, solutions):
        assert min(values[0][-1], values[2][-1]) > values[1][-1]  # it has seen 2 to be right and 9 to be wrong
    made = kitchen.make(
        "measured",
        "evaluate_verifier",
        verifiers={"theirs": Ref("verifier")},
        problems=Ref("questions"),
        solutions=Ref("pool"),
        policy=Ref("model"),
    )
    assert made.manifest["metrics"]["verifiers"]["theirs"]["AUC within"][0] > 0.5


def test_siblings_are_ranked_in_other_tokens(kitchen: Bench) -> None:
    large(kitchen, "chat")
    asked(kitchen)
    kitchen.make("labels", "t_pairs", rows=[row.to_row() for row in pairs(kitchen)])
    made = kitchen.make(
        "theirs", "recode_pairs", pairs=Ref("labels"), policy=Ref("model"), model=Ref("large"), problems=Ref("asked")
    )
    head = {"activation": "none", "scale": "ranking", "bias": False}
    artifact = kitchen.make("verifier", "train_verifier", pairs=Ref("theirs"), losses=["ranking"], head=head, **FEW)
    forward = Forward(load_verifier(artifact.path / "verifier"))
    for row in map(StepPair.from_row, rows_of(made)):
        sides = [(*row.prompt_ids, *ids) for ids in (row.chosen_ids, row.rejected_ids)]
        [[better], [worse]] = forward.values([Readout(ids, (len(ids) - 1,)) for ids in sides])
        assert better > worse


def test_rows_that_were_not_recoded_are_refused_where_a_model_has_a_step_token(kitchen: Bench) -> None:
    """They would be read at other tokens than they were trained at, and nothing would say so."""
    kitchen.make(
        "marked",
        "model",
        path=str(kitchen.store.open(kitchen.nodes["model"]).path / "model"),
        format={"step_token": "<eos>"},
    )
    kitchen.make("labels", "t_targets", rows=[row.to_row() for row in targets(kitchen)])
    with pytest.raises(
        UserError,
        match="places of '<eos>', the step token at which this model is read. Make the rows by stage `recode_ta",
    ):
        kitchen.make("verifier", "train_verifier", targets=Ref("labels"), **{**FEW, "policy": Ref("marked")})


def test_unknown_problems_are_refused(kitchen: Bench) -> None:
    large(kitchen, "plain")
    asked(kitchen)
    with pytest.raises(
        UserError,
        match="problems: asked has no problem 'q', to which a row belongs. Give the problems that the trees were grown",
    ):
        recoded(kitchen, [replace(row, problem_id="q") for row in targets(kitchen, 2)])


def test_labels_cross_to_a_verifier_as_to_the_model_that_it_stands_on(kitchen: Bench) -> None:
    large(kitchen, "plain")
    asked(kitchen)
    known = recoded(kitchen, targets(kitchen))
    kitchen.make("verifier", "train_verifier", targets=Ref("theirs"), **{**FEW, "max_steps": 1})
    given = {"targets": Ref("labels"), "policy": Ref("model"), "problems": Ref("asked")}
    assert rows_of(kitchen.make("again", "recode_targets", model=Ref("verifier"), **given)) == rows_of(known)
