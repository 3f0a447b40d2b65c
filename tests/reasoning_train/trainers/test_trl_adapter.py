"""TRL behind its adapter: what it must offer, whose ids and positions it computes with, and its advantages, by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from transformers import GPT2Config, GPT2LMHeadModel

from data_gen.engines.base import Sampling
from data_gen.errors import UserError
from data_gen.format import Format, StepCodec
from data_gen.records.verdict import Verdict
from data_gen.tasks.chain import Chain
from reasoning_train.api.refs import Ref
from reasoning_train.models.policy import Policy
from reasoning_train.stages import grpo
from reasoning_train.trainers.rl.rewards import Rewards
from reasoning_train.trainers.rl.rollouts import PolicyRollouts, _groups
from reasoning_train.trainers.rl.trl_adapter import Loss, check, classes, make_trainer
from tests.data_gen.verifiers.tiny import words
from tests.reasoning_train.bench import problem
from tests.reasoning_train.trainers.here import Here

QUESTIONS = ("Ana has 12 coins. How many has Ana?", "Ana has 12 coins. Ben has 1 more than Ana. How many has Ben?")


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_the_installed_version_offers_all_that_is_used(loss: Loss) -> None:
    classes(loss)


def test_what_has_moved_is_named() -> None:
    renamed = dataclasses.make_dataclass(
        "GRPOConfig", [(f.name, Any, None) for f in dataclasses.fields(trl.GRPOConfig) if f.name != "beta"]
    )
    with pytest.raises(
        UserError, match=r"GRPOConfig has no field 'beta'. This program was written for trl 1.16; install that version"
    ):
        check(trl.GRPOTrainer, renamed, "grpo")

    class Moved(trl.GRPOTrainer):
        def _tokenize_prompts(self, texts: list[str]) -> Any:
            """Renamed its parameter."""

    with pytest.raises(
        UserError, match=r"Moved._tokenize_prompts takes \(self, texts\), expected \(self, prompts, \.\.\.\)"
    ):
        check(Moved, trl.GRPOConfig, "grpo")

    class Shorter(trl.GRPOTrainer):
        def __init__(self, model: Any, args: Any) -> None:
            """Takes less."""

    with pytest.raises(UserError, match="Shorter takes no 'reward_funcs'"):
        check(Shorter, trl.GRPOConfig, "grpo")


def gpt2() -> Policy:
    """A policy with learned absolute positions, which a left pad shifts unless someone takes care."""
    torch.manual_seed(0)
    tokens = words()
    ends = {"bos_token_id": None, "eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id}
    config = GPT2Config(
        vocab_size=len(tokens), n_embd=32, n_layer=1, n_head=2, n_positions=64, initializer_range=0.3, **ends
    )
    return Policy(GPT2LMHeadModel(config).eval(), tokens, Format(), StepCodec(Format(), tokens))


class Given:
    """Stands for rollouts: completions by hand."""

    generated = 0

    def __init__(self, completions: Sequence[Sequence[int]]) -> None:
        self.completions, self.asked = [list(ids) for ids in completions], list[list[int]]()

    def __call__(self, model: Any, prompts: Sequence[Sequence[int]], step: int) -> list[list[int]]:
        self.asked = [list(prompt) for prompt in prompts]
        return self.completions


def scored(
    folder: Path,
    answers: Sequence[str],
    loss: Loss = "grpo",
    gold: tuple[str | None, str | None] = ("12", "13"),
    **more: Any,
) -> tuple[Any, dict[str, torch.Tensor], Given]:
    """TRL's tensors for both questions with completions that answer as said, half of the answers each."""
    policy, n = gpt2(), len(answers) // 2
    codec = policy.codec
    completions = [[*codec.tokenizer(f"Answer: {answer}")["input_ids"], codec.end_id] for answer in answers]
    problems = [
        problem(f"p{i}", question, each) for i, (question, each) in enumerate(zip(QUESTIONS, gold, strict=True))
    ]
    rewards, given = Rewards(problems, Chain(uses="chain"), codec, Sampling(max_tokens=16), n), Given(completions)
    fixed: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2 * n,
        "num_generations": n,
        "max_completion_length": 16,
        "beta": 0.0,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }
    trainer = make_trainer(loss, policy, [[0, 1]], rewards, given, {**fixed, **more})  # type: ignore[arg-type]
    trainer.model.train()
    rows = [{"prompt": question, "number": i} for i, question in enumerate(QUESTIONS) for _ in range(n)]
    return trainer, trainer._generate_and_score_completions(rows), given


def test_prompts_are_the_codecs_and_padding_moves_no_position(tmp_path: Path) -> None:
    trainer, found, given = scored(tmp_path, ["12", "7", "13", "5"])
    codec = gpt2().codec
    prompts = [codec.prompt_ids(question) for question in QUESTIONS for _ in range(2)]
    assert given.asked == prompts
    assert len({len(prompt) for prompt in prompts}) == 2
    ids, mask = (torch.cat([found[f"prompt_{what}"], found[f"completion_{what}"]], 1) for what in ("ids", "mask"))
    trainer.model.eval()
    with torch.no_grad():
        padded, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, found["completion_ids"].shape[1]
        )
        for row, (prompt, completion) in enumerate(zip(prompts, given.completions, strict=True)):
            alone = gpt2().model(torch.tensor([[*prompt, *completion]])).logits[0].log_softmax(-1)
            known = [alone[len(prompt) - 1 + t, token].item() for t, token in enumerate(completion)]
            assert padded[row, : len(completion)].tolist() == pytest.approx(known, abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "options", "wanted"),
    [
        ("grpo", {"scale_rewards": "none"}, [0.75, -0.25, -0.25, -0.25, 0.0, 0.0, 0.0, 0.0]),
        ("grpo", {"scale_rewards": "group"}, [x / (0.5 + 1e-4) for x in (0.75, -0.25, -0.25, -0.25)] + [0.0] * 4),
        ("rloo", {}, [1.0, -1 / 3, -1 / 3, -1 / 3, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_advantages_by_hand(tmp_path: Path, loss: Loss, options: dict[str, Any], wanted: list[float]) -> None:
    """One of four right: mean 1/4, sample variance (9/16 + 3/16) / 3 = 1/4; leave-one-out 1 - 0 and 0 - 1/3. All right:
    nothing."""
    _, found, _ = scored(tmp_path, ["12", "7", "8", "9", "13", "13", "13", "13"], loss, **options)
    assert found["advantages"].tolist() == pytest.approx(wanted, abs=1e-5)
    assert found["completion_mask"].any(1).all()


@pytest.mark.parametrize("loss", ["grpo", "rloo"])
def test_unverifiable_groups_are_masked_and_the_loss_is_finite(tmp_path: Path, loss: Loss) -> None:
    trainer, found, _ = scored(tmp_path, ["12", "7", "13", "5"], loss, gold=("12", None))
    assert found["completion_mask"].any(1).tolist() == [True, True, False, False]
    if loss == "grpo":
        assert found["num_items_in_batch"] == found["completion_mask"].sum()
    else:
        assert found["old_logps"][2:].tolist() == [0.0, 0.0]
    assert found["advantages"][2:].tolist() == [0.0, 0.0]
    trainer.current_gradient_accumulation_steps = 1
    assert math.isfinite(float(trainer._compute_loss(trainer.model, found)))


def test_equal_neighbours_are_drawn_together() -> None:
    assert _groups([[1], [1], [2], [1]]) == [(0, [1], 2), (2, [2], 1), (3, [1], 1)]


def test_draws_depend_on_seed_step_and_place_alone(bench: Any, one_thread: None) -> None:
    bench.model()
    policy, prompts = bench.policy(), [[5, 6, 7], [5, 6, 7], [8, 9]]

    def draw(seed: int = 0, step: int = 0, times: int = 1) -> list[list[int]]:
        rollouts = PolicyRollouts(policy, Sampling(max_tokens=12), seed)
        return [rollouts(policy.model, prompts, step) for _ in range(times)][-1]

    first = draw()
    assert len(first) == 3
    assert draw() == draw(times=2) == first
    assert first not in (draw(seed=1), draw(step=1))


def test_weights_that_have_changed_are_drawn_from(bench: Any, one_thread: None) -> None:
    """No key or value of the policy before the step is reused."""
    bench.model()
    policy, prompts, sampling = bench.policy(), [[5, 6, 7]] * 4, Sampling(max_tokens=12)
    used = PolicyRollouts(policy, sampling, 0)
    used(policy.model, prompts, 0)
    policy.model.train()
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.3)
    assert used(policy.model, prompts, 1) == PolicyRollouts(policy, sampling, 0)(policy.model, prompts, 1)
    assert policy.model.training


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, {"loss_type": "grpo", "scale_rewards": "group", "beta": 0.001, "epsilon": 0.2}),
        ({"mean_over": "tokens", "divide_by_std": True}, {"loss_type": "dapo", "scale_rewards": "group"}),
        ({"mean_over": "max_tokens", "divide_by_std": False}, {"loss_type": "dr_grpo", "scale_rewards": "none"}),
        ({"loss": "rloo"}, {"normalize_advantages": False}),
        ({"loss": "rloo", "divide_by_std": True, "beta": 0.1}, {"normalize_advantages": True, "beta": 0.1}),
    ],
)
def test_what_the_switches_of_a_recipe_tell_it(tmp_path: Path, config: dict[str, Any], told: dict[str, Any]) -> None:
    given = {"policy": Ref("m"), "problems": Ref("p"), "learning_rate": 1e-6, "n": 4, "batch_size": 8, **config}
    made = grpo._arguments(grpo.GRPOConfig.model_validate(given), gpt2(), 12, Here(tmp_path))  # type: ignore[arg-type]
    assert told.items() <= made.items()


def test_an_unverifiable_solution_of_a_mixed_group_is_looked_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four, one right, two wrong and one that nobody can judge: the mean is that of three."""
    original = Rewards._graded

    def graded(self: Rewards, *given: Any) -> Any:
        group = original(self, *given)
        return (
            [*group[:3], dataclasses.replace(group[3], verdict=Verdict.UNVERIFIABLE)] if given[0].id == "p0" else group
        )

    monkeypatch.setattr(Rewards, "_graded", graded)
    _, found, _ = scored(tmp_path, ["12", "7", "8", "12", "13", "5", "5", "5"], scale_rewards="none")
    assert found["completion_mask"].any(1).tolist() == [True, True, True, False, *[True] * 4]
    assert found["advantages"].tolist()[:4] == pytest.approx([2 / 3, -1 / 3, -1 / 3, 0], abs=1e-5)
