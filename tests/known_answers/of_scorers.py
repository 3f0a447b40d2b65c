"""Scorers: those that ask gold or a policy on the toy world, those that read weights on a tiny random model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from data_gen.engines.base import LM
from data_gen.engines.scripted import ScriptedEngine
from data_gen.records.scales import Scale
from data_gen.scorers import SCORERS, GrantedGold, Scorer, Tools
from data_gen.verifiers.checkpoint import save_verifier
from data_gen.verifiers.heads import HeadConfig
from tests.data_gen.scorers import test_policy_scorers as policy
from tests.data_gen.scorers.prefixes import prefix, problem, run, score, whole
from tests.data_gen.search.toy import CODEC, ToyEngine, ToyTask, World
from tests.data_gen.verifiers.tiny import verifier
from tests.known_answers.cases import Settings, case

ASKED = problem(question="go", gold="1")
PREFIXES = [
    prefix(CODEC, of=ASKED),
    prefix(CODEC, "a", of=ASKED),
    prefix(CODEC, "a", "b", of=ASKED),
    prefix(CODEC, "a", "c", of=ASKED, closing="Answer: 1", answer="1", ended=True, end=True),
    prefix(CODEC, "b", "c", of=ASKED, closing="Answer: 0", answer="0", ended=True, end=True),
]


def opened(uses: str, tools: Tools | None = None, **options: Any) -> Scorer:
    """A scorer that may ask gold of the toy task, where b is a wrong step."""
    gold = GrantedGold(ToyTask(wrong=("b",)), CODEC)
    return SCORERS.get(uses).model_validate({"uses": uses, **options}).open(tools or Tools(codec=CODEC, gold=gold))


def values(scorer: Scorer, found: Any) -> dict[str, Any]:
    """What a scorer says, and what it charges."""
    return {"scale": str(scorer.scale), "values": [one.value for one in found], "tokens": [one.tokens for one in found]}


@case("scorer", "constant", "exact_steps", "oracle")
def without_a_model(name: str) -> Any:
    """Of toy prefixes."""
    scorer = opened(name)
    return values(scorer, score(scorer, PREFIXES))


@case("scorer", "rollouts")
def rollouts() -> Any:
    """8 completions of each prefix, and fewer where it is clear."""
    found: dict[str, Any] = {}
    for sequential in (None, {"threshold": 0.5, "confidence": 0.9, "batch": 2}):
        scorer = opened("rollouts", sequential=sequential)
        lm = LM(ToyEngine(World.random(4, depth=2)), 0, ("p", "score", 1))
        scores = run(lambda scorer=scorer, lm=lm: scorer(PREFIXES, lm))
        found[str(sequential is not None)] = [values(scorer, scores), [len(one.rollouts) for one in scores]]
    return found


@case("scorer", "step_judge")
def step_judge() -> Any:
    """An LM that says which step is wrong."""
    words = policy.bpe()
    text = "The first wrong step is 2."
    script = [*words(text, add_special_tokens=False)["input_ids"], policy.CODEC.end_id]
    scorer = opened("step_judge", Tools(codec=policy.CODEC, gold=GrantedGold(ToyTask(), policy.CODEC)))
    asked = [prefix(policy.CODEC, *policy.STEPS[:n]) for n in range(3)]
    engine = ScriptedEngine(lambda ids, seed: script)
    return values(scorer, run(lambda: scorer(asked, LM(engine, 0, ("p", "score", 1)))))


@case("scorer", "self_evaluation", "likelihood")
def of_the_policy(name: str) -> Any:
    """Log-probabilities of a tiny random policy."""
    asked = [prefix(policy.CODEC), prefix(policy.CODEC, *policy.STEPS), whole(policy.CODEC, *policy.STEPS)]
    scorer = policy.opened(name)
    return values(scorer, policy.asked_of_policy(scorer, *asked))


@case("scorer", "joint")
def joint() -> Any:
    """What the policy's head said with its tokens."""
    head = HeadConfig(activation="tanh", scale=Scale.SIGNED)
    asked = [prefix(policy.CODEC, *policy.STEPS, value=value) for value in (-0.5, 0.25)]
    scorer = policy.opened("joint", policy_head=head)
    return values(scorer, score(scorer, asked))


@case("scorer", "head")
def head() -> Any:
    """A tiny random verifier, read at the last step, by the least of all, and with noise."""
    made, steps = verifier(), ("Ben: 12 + 5 = 17", "Ben: 17 - 3 = 14")
    codec = policy.StepCodec(policy.Format(), made.tokenizer)
    asked = [prefix(codec), prefix(codec, *steps), whole(codec, *steps)]
    with tempfile.TemporaryDirectory() as folder:
        save_verifier(made, Path(folder))
        tools = Tools(codec=codec, verifier=Path(folder))
        scorers = [
            opened("head", tools, **how) for how in ({"aggregate": "last"}, {"aggregate": "min"}, {"noise": 0.5})
        ]
        return Settings(values(scorer, score(scorer, asked)) for scorer in scorers)
