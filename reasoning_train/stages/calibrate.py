"""`calibrate`: turns a verifier's values into probabilities by Platt scaling or isotonic regression on a dev split."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from data_gen.records.scales import Scale
from data_gen.scorers.head import aggregated
from reasoning_train.api.refs import ModelRef, ProblemsRef, SolutionsRef, VerifierRef
from reasoning_train.api.stage import Context, Gate, Made, StageConfig, gate, stage
from reasoning_train.stages.fits import aggregate_misfit, heads, other_problems
from reasoning_train.store.inputs import read_problems, read_solutions, with_solutions


class CalibrateConfig(StageConfig):
    """Which verifier is calibrated, and on which solutions."""

    verifier: VerifierRef
    problems: ProblemsRef
    """A dev split: neither the training nor the evaluation problems."""
    solutions: SolutionsRef
    policy: ModelRef
    """The policy that sampled the solutions."""
    method: Literal["platt", "isotonic"] = "platt"
    """`platt`: two parameters, for little data; keeps the order of values. `isotonic`: any monotone curve, from about a
    thousand solutions on; different values may become equal."""
    aggregate: Literal["last", "min"] = "last"
    """Which of a solution's step values will be its score in `evaluate_verifier`."""
    min_rows: Annotated[int, Gate()] = Field(50, ge=2)
    """Minimum number of solutions with a verdict; both right and wrong ones are needed."""


@stage("calibrate", version=2, outputs={"verifier": "verifier"}, seeded=False, scores=True, learns="calibrates")
def calibrate(config: CalibrateConfig, ctx: Context) -> None:
    """Fit on the head's raw scores of whole solutions. The activation becomes a sigmoid or an isotonic curve, and the
    scale becomes p."""
    from data_gen.verifiers.checkpoint import load_verifier, save_verifier
    from data_gen.verifiers.heads import HeadConfig
    from reasoning_train.evaluation.ranking import brier, calibration_error
    from reasoning_train.models.policy_text import load_policy_text
    from reasoning_train.trainers.score import score_solutions

    verifier = load_verifier(ctx.input(config.verifier).path)
    codec = load_policy_text(ctx.input(config.policy).path).codec
    verifier.format.check_same_task(codec.format, "the verifier", "the policy")
    old = verifier.head.config
    plain = {"activation": "none", "scale": Scale.RANKING, "gain": 1.0, "offset": 0.0, "knots": ()}
    bare = replace(verifier, head=_with(verifier.head, HeadConfig(**{**old.model_dump(), **plain})))
    pools = with_solutions(read_problems(ctx.input(config.problems)), read_solutions(ctx.input(config.solutions)))
    known = ((problem, [s for s in solutions if s.verdict in ("correct", "wrong")]) for problem, solutions in pools)
    scores, right = list[float](), list[bool]()
    for _, solutions, values in score_solutions(bare, codec, known):
        scores += [aggregated(each, config.aggregate) for each in values]
        right += [s.verdict == "correct" for s in solutions]
    ctx.count("in", len(scores))
    gate(
        len(scores) >= config.min_rows and len(set(right)) == 2,
        f"calibrate: {sum(right)} right and {len(right) - sum(right)} wrong solutions; expected at least "
        f"{config.min_rows} in all, and both kinds. Sample more, or sample problems that are solved sometimes.",
    )
    fitted = _isotonic(scores, right) if config.method == "isotonic" else _platt(scores, right)
    head = _with(verifier.head, HeadConfig(**{**old.model_dump(), **plain, "scale": Scale.P, **fitted}))
    save_verifier(replace(verifier, head=head), ctx.output("verifier"))
    import torch

    p = head.activate(torch.tensor(scores)).tolist()
    # `evaluate_verifier` measures it on other solutions.
    measured = {"brier_on_fitted": brier(p, right), "ece_on_fitted": calibration_error(p, right)}
    ctx.metric("fit", {**fitted, **measured})
    ctx.metric("curve", _curve(p, right))


@calibrate.check
def fits(config: CalibrateConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The head's values can be aggregated as asked; the solutions belong to these problems."""
    for _, head in heads(made, config.verifier):
        if head and (said := aggregate_misfit(config.aggregate, head)):
            yield "aggregate", said
    for said in other_problems(made, config.solutions, config.problems):
        yield "solutions", said


def _platt(scores: list[float], right: list[bool]) -> dict[str, Any]:
    from reasoning_train.evaluation.ranking import platt

    gain, offset = platt(scores, right)
    gate(
        gain > 0,
        f"calibrate: right solutions score lower than wrong ones (gain {gain:.3g}). The verifier has learnt nothing "
        "useful.",
    )
    return {"activation": "sigmoid", "gain": gain, "offset": offset}


def _isotonic(scores: list[float], right: list[bool]) -> dict[str, Any]:
    from reasoning_train.evaluation.ranking import isotonic

    knots = isotonic(scores, right)
    gate(
        len(knots) > 1,
        "calibrate: no score tells right solutions from wrong ones. The verifier has learnt nothing useful.",
    )
    return {"activation": "isotonic", "knots": knots}


def _with(head: Any, config: Any) -> Any:
    """The same weights with another config."""
    made = type(head)(config, head.width)
    made.load_state_dict(head.state_dict())
    return made.to(next(head.parameters()).device).eval()


def _curve(p: list[float], right: list[bool]) -> list[list[float]]:
    """[mean probability, share right, count] for each of ten bins that is not empty."""
    pairs = sorted(zip(p, right, strict=True))
    binned = itertools.groupby(pairs, key=lambda pair: min(9, int(pair[0] * 10)))
    groups = [list(members) for _, members in binned]
    return [[sum(q for q, _ in g) / len(g), sum(r for _, r in g) / len(g), len(g)] for g in groups]
