"""`evaluate_verifier` with `n`: what fewer solutions of a stored pool come to, by enumeration."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.records.scales import Scale
from data_gen.search.votes.argmax import Argmax
from reasoning_train.evaluation.pools import Scored, elected_row
from reasoning_train.recipe.errors import RecipeError
from reasoning_train.stages.evaluate_verifier import EvaluateVerifierConfig
from tests.reasoning_train.evaluation.test_pools import answered, pool_of
from tests.reasoning_train.recipe.kitchen import load


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=7), st.data())
def test_fewer_of_a_pool_are_the_mean_over_all_choices(known: list[tuple[float, bool]], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(known)))
    pool = pool_of(answered(["2" if right else "9" for _, right in known]))
    row = elected_row("rm", Argmax(), Scored(pool, [score for score, _ in known], Scale.P), n)
    best = [
        [right for score, right in some if score == max(score for score, _ in some)]
        for some in itertools.combinations(known, n)
    ]
    assert row.policy == f"rm@{n}"
    assert row.accuracy == pytest.approx(sum(sum(level) / len(level) for level in best) / len(best))


RECIPE = """
    name: measured
    task: {uses: k_task}
    model: {init: {}, tokenizer: task}
    stages:
      pool: {uses: sample, policy: "${model}", problems: "${task.test}", n: 8}
      rm: {uses: evaluate_verifier, likelihoods: {lm: "${model}"}, policy: "${model}", problems: "${task.test}",
           solutions: "${stages.pool}", n: [4], votes: VOTES}
"""


def test_more_than_a_pool_holds_is_told_at_load(tmp_path: Path) -> None:
    recipe = RECIPE.replace("VOTES", "[argmax]")
    with pytest.raises(RecipeError, match=r"stages.rm.n: 16 solutions of a problem are more than 'pool' draws \(n=8\)"):
        load(tmp_path, recipe, "stages.rm.n=[4, 16]")
    assert load(tmp_path, recipe, "stages.rm.n=4").nodes["rm"].config["n"] == 4


def test_votes_have_names_of_their_own_and_log_probabilities_no_bar(tmp_path: Path) -> None:
    """Two settings of one rule are two rows."""
    named = "{half: {uses: top_k, part: 0.5}, one: {uses: top_k, k: 1}, best: argmax}"
    config = load(tmp_path, RECIPE.replace("VOTES", named)).nodes["rm"].config
    rows = EvaluateVerifierConfig.model_validate(config).row_names
    assert rows[3:6] == ["lm, half", "lm, one", "lm, best"] and rows[-3:] == ["lm, half@4", "lm, one@4", "lm, best@4"]
    with pytest.raises(RecipeError, match="'lm, top_k' would name two rows of the table"):
        load(tmp_path, RECIPE.replace("VOTES", "[{uses: top_k, part: 0.5}, {uses: top_k, k: 1}]"))
    with pytest.raises(RecipeError, match="stages.rm.votes: 'filtered' compares scores with a bar, but log-probab"):
        load(tmp_path, RECIPE.replace("VOTES", "[argmax, {uses: filtered, bar: 0.5}]"))
    with pytest.raises(RecipeError, match="`score: min` has no meaning here"):
        load(tmp_path, RECIPE.replace("VOTES", "[{uses: gated, bar: 0.5, otherwise: {uses: argmax, score: min}}]"))
