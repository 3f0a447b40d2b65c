"""Pairs of stages that would fail in the middle of a run: each is refused when the recipe loads, with its message."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.recipe.errors import RecipeError
from tests.reasoning_train.recipe.kitchen import load

STAGES = """
    name: misfits
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    tasks:
      words: {uses: jsonl, paths: {train: ROWS}, fields: {question: question, answer: answer},
        format: "${task.format}"}
    stages:
      base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 1e-3, max_steps: 1}
      pool: {uses: search, policy: "${stages.base}", problems: "${task.explore}", search: {uses: iid, n: 4}, trees: 2}
      judged: {uses: search, policy: "${stages.base}", problems: "${task.explore}", gold: true,
        search: {uses: iid, n: 4}}
      walk: {uses: search, policy: "${stages.base}", problems: "${task.explore}", gold: true,
        search: {uses: mcts, simulations: 4}, scorer: {uses: rollouts}}
      words_walk: {uses: search, policy: "${stages.base}", problems: "${tasks.words.train}", gold: true,
        search: {uses: mcts, simulations: 4}, scorer: {uses: constant}}
      paths: {uses: sft_paths, trees: "${stages.walk}", policy: "${stages.base}"}
      values: {uses: value_targets, trees: "${stages.walk}", policy: "${stages.base}", targets: {uses: q}}
      progress: {uses: value_targets, trees: "${stages.walk}", policy: "${stages.base}", targets: {uses: progress}}
      tokens: {uses: value_targets, trees: "${stages.judged}", policy: "${stages.base}",
        targets: {uses: prefix_ratio}}
      pairs: {uses: step_pairs, trees: "${stages.walk}", policy: "${stages.base}", pairs: {uses: best_sibling}}
      joint: {uses: sft, policy: "${stages.base}", data: "${stages.paths}", packing: tree, learning_rate: 1e-3,
        value: {targets: "${stages.values}", head: {activation: tanh, scale: signed}}, max_steps: 1,
        losses: [cross_entropy, mse]}
      orm: {uses: train_verifier, policy: "${stages.base}", targets: "${stages.values}", learning_rate: 1e-3,
        max_steps: 1, head: {read_at: last}}
      ranker: {uses: train_verifier, policy: "${stages.base}", targets: "${stages.values}", learning_rate: 1e-3,
        max_steps: 1, losses: [ranking], head: {scale: ranking, activation: none}}
      sample: {uses: sample, policy: "${stages.base}", problems: "${task.dev}", n: 2}
      refined: {like: sample, program: {uses: self_refine}}
      kept: {uses: select, solutions: "${stages.sample}"}
      dev: {uses: evaluate, policies: {base: "${stages.base}"}, problems: "${task.dev}", samples: 2}
      few: {uses: evaluate, policies: {base: "${stages.base}"}, problems: "${task.dev}", limit: 3}
      voted: {uses: evaluate_trees, problems: "${task.explore}", strategies: {most: {trees: "${stages.pool}"}}}
      again: {uses: search, policy: "${stages.base}", problems: "${task.explore}", search: {uses: best_of_n, n: 2},
        scorer: likelihood}
      own: {like: again, seed: {mix: few}}
      replayed: {uses: concat, sources: ["${stages.pool}"]}
      chosen: {uses: adaptive, problems: "${task.explore}", table: "${stages.voted}",
        estimate: {pool: "${stages.own}", n: 2}}
      ranked: {uses: search, policy: "${stages.base}", problems: "${task.explore}", scorer: {uses: head},
        search: {uses: best_of_n, n: 4, scale: ranking}, verifier: "${stages.ranker}"}
      last: STAGE
"""

SEARCH = 'uses: search, problems: "${task.explore}", gold: true, policy: "${stages.base}"'
ADAPTIVE = 'uses: adaptive, problems: "${task.dev}", table: "${stages.dev}"'
EXPLORED = 'uses: adaptive, problems: "${task.explore}", table: "${stages.voted}"'
MCTS = "search: {uses: mcts, simulations: 4}"
PATHS = 'policy: "${stages.base}", trees: '


def refusal(folder: Path, stage: str, *, text: str = STAGES) -> str:
    rows = folder / "rows.jsonl"
    rows.write_text('{"question": "1 + 1?", "answer": "2"}\n', encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load(folder, text.replace("ROWS", str(rows)).replace("STAGE", f"{{{stage}}}"))
    return str(caught.value)


def test_the_stages_themselves_fit(tmp_path: Path) -> None:
    assert refusal(tmp_path, "uses: nothing").count("\n") == 0


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        # A scorer and the head that it reads.
        (
            f"{SEARCH}, {MCTS}, scorer: {{uses: joint}}",
            "last.scorer: 'joint' reads a value head of the policy, but 'base' (a stage of type 'sft') makes none.",
        ),
        (
            f'{SEARCH}, {MCTS}, scorer: {{uses: head}}, verifier: "${{stages.base}}"',
            "last.scorer: 'head' reads a value head of the verifier, but 'base' (a stage of type 'sft') makes none.",
        ),
        (
            f"{SEARCH.replace('base', 'joint')}, {MCTS}, scorer: {{uses: joint, scale: p}}",
            "last.scorer: Head mismatch: scorer.joint has scale='p', the policy has scale='signed'.",
        ),
        (
            f'{SEARCH}, {MCTS}, scorer: {{uses: head, aggregate: min}}, verifier: "${{stages.orm}}"',
            "last.scorer: scorer.aggregate is 'min', but the head is read at the last token only; expected 'last'.",
        ),
        (
            f'{SEARCH}, {MCTS}, scorer: {{uses: head, read_at: step_end}}, verifier: "${{stages.orm}}"',
            "last.scorer: Head mismatch: scorer.head has read_at='step_end', the checkpoint has read_at='last'.",
        ),
        (
            f"{SEARCH}, search: {{uses: beam}}, scorer: {{uses: head, aggregate: prod}}, "
            'verifier: "${stages.ranker}"',
            "last.scorer: scorer.aggregate is 'prod', but the head's values are of scale 'ranking'",
        ),
        (
            f'{SEARCH}, {MCTS}, scorer: {{uses: head}}, verifier: "${{stages.ranker}}"',
            "last.scorer: values of scale 'ranking' cannot be read as 'signed': only p, signed and odds convert.",
        ),
        # A rule and the trees that it reads.
        (
            f'uses: sft_paths, {PATHS} "${{stages.pool}}", paths: {{rank: mean_q}}',
            "last.paths: the path policy reads the visits of trees, but 'pool' leaves no visits: its search 'iid' "
            "without `gold: true` counts none.",
        ),
        (
            f'uses: value_targets, {PATHS} "${{stages.pool}}", targets: {{uses: q}}',
            "last.targets: rule 'q' reads the visits of trees, but 'pool' leaves no visits",
        ),
        (
            f'uses: value_targets, {PATHS} "${{stages.pool}}", targets: {{uses: mc}}',
            "last.targets: rule 'mc' reads the rollouts of trees, but 'pool' leaves no rollouts: neither its search "
            "'iid' without `gold: true` nor its scorer draws any.",
        ),
        (
            f'uses: value_targets, {PATHS} "${{stages.words_walk}}", targets: {{uses: exact_steps}}',
            "last.targets: rule 'exact_steps' reads the checked steps of trees, but 'words_walk' leaves no checked "
            "steps: its task 'jsonl' cannot check steps.",
        ),
        (
            f'uses: sft_paths, {PATHS} "${{stages.words_walk}}", paths: {{steps: right}}',
            "last.paths: the path policy reads the checked steps of trees",
        ),
        (
            f'uses: step_pairs, {PATHS} "${{stages.judged}}", pairs: {{uses: margin, value: scorer}}',
            "last.pairs: rule 'margin' reads the values of trees, but 'judged' leaves no values: its search 'iid' has "
            "no `scorer`.",
        ),
        (
            f'uses: step_pairs, {PATHS} "${{stages.words_walk}}", pairs: {{uses: first_error}}',
            "last.pairs: rule 'first_error' reads the checked steps of trees",
        ),
        # A search and its task.
        (
            'uses: search, policy: "${stages.base}", problems: "${tasks.words.train}", gold: true, '
            "search: {uses: first_error}",
            "last.problems: 'first_error' needs a task that can check steps (as chain does), and 'jsonl' cannot.",
        ),
        (
            'uses: search, policy: "${stages.base}", problems: "${tasks.words.train}", gold: true, '
            "search: {uses: beam}, scorer: {uses: exact_steps}",
            "last.problems: 'exact_steps' needs a task that can check steps (as chain does), and 'jsonl' cannot.",
        ),
        (
            f'{SEARCH}, search: {{uses: iid, n: 2}}, solutions: "${{stages.sample}}"',
            "last.solutions: 'sample' made these rows for task.dev, but here they are paired with task.explore.",
        ),
        # Trainers.
        (
            'uses: dpo, policy: "${stages.base}", pairs: "${stages.pairs}", learning_rate: 1e-4, max_steps: 1',
            "last.pairs: loss 'dpo' compares with a reference, and the pairs of 'pairs' have no log-probabilities",
        ),
        (
            'uses: sft, policy: "${stages.base}", data: "${stages.sample}", learning_rate: 1e-3, max_steps: 1, '
            "losses: [cross_entropy, sparse_kl]",
            "last.data: 'sample' gives solutions without a teacher, which loss 'sparse_kl' reads. Put a stage",
        ),
        (
            'uses: train_verifier, policy: "${stages.orm}", targets: "${stages.values}", learning_rate: 1e-3, '
            "max_steps: 1",
            "last.head: Head mismatch: the recipe's head has read_at='step_end', 'orm' has read_at='last'.",
        ),
        (
            'uses: train_verifier, policy: "${stages.orm}", targets: "${stages.values}", learning_rate: 1e-3, '
            "max_steps: 1, head: {kind: from_vocab}",
            "last.head.kind: 'from_vocab' reads the logits of a language model, but 'orm' has none.",
        ),
        (
            'uses: train_verifier, policy: "${stages.base}", targets: "${stages.progress}", learning_rate: 1e-3, '
            "max_steps: 1",
            "last.targets: 'progress': values of scale 'progress' cannot be read as 'p'",
        ),
        (
            'uses: sft, policy: "${stages.joint}", data: "${stages.paths}", packing: tree, learning_rate: 1e-3, '
            "max_steps: 1, losses: [cross_entropy, mse], "
            'value: {targets: "${stages.values}", head: {activation: sigmoid, scale: p}}',
            "last.value.head: Head mismatch: the recipe's head has activation='sigmoid', 'joint' has activation='tanh'",
        ),
        (
            'uses: sft, policy: "${stages.base}", data: "${stages.paths}", packing: tree, learning_rate: 1e-3, '
            "max_steps: 1, losses: [cross_entropy, mse], "
            'value: {targets: "${stages.progress}"}',
            "last.value.targets: 'progress': values of scale 'progress' cannot be read as 'signed'",
        ),
        (
            'uses: recode_targets, policy: "${stages.base}", model: "${model}", problems: "${task.explore}", '
            'targets: "${stages.tokens}"',
            "last.targets: 'tokens' makes a value for every token, but between tokenizers only ends of steps",
        ),
        # Evaluations.
        (
            'uses: evaluate_trees, problems: "${task.explore}", strategies: {s: {trees: "${stages.walk}", n: 2}}',
            "last.strategies.s.n: paths of a tree that 'mcts' grew are not independent",
        ),
        (
            'uses: evaluate_trees, problems: "${task.explore}", strategies: {s: {trees: "${stages.pool}", n: 8}}',
            "last.strategies.s.n: 8, but the pool of 'pool' holds 4 paths. Draw a larger pool.",
        ),
        (
            'uses: evaluate_trees, problems: "${task.explore}", strategies: {s: {trees: "${stages.pool}", '
            "vote: {uses: argmax, score: min}}}",
            "last.strategies.s.vote: score 'min' reads the values of steps, and 'pool' has no `scorer`.",
        ),
        (
            'uses: evaluate_trees, problems: "${task.test}", strategies: {s: {trees: "${stages.pool}"}}',
            "last.strategies.s.trees: 'pool' made these rows for task.explore, but here they are paired with task.test",
        ),
        (
            f'{ADAPTIVE}, estimate: {{pool: "${{stages.sample}}", n: 3}}',
            "last.estimate.n: 3, but 'sample' draws 2 samples of a problem. Draw more.",
        ),
        (
            f'{ADAPTIVE}, estimate: {{pool: "${{stages.sample}}", n: 2, by: score}}',
            "last.estimate.by: 'score' reads a verifier's values, and solutions of 'sample' have none.",
        ),
        (
            f'{ADAPTIVE}, estimate: {{pool: "${{stages.pool}}", n: 2}}',
            "last.estimate.pool: 'pool' made these rows for task.explore, but here they are paired with task.dev.",
        ),
        (
            f'{ADAPTIVE}, limit: 4, strategies: [bas], estimate: {{pool: "${{stages.sample}}", n: 2}}',
            "last.strategies: the table has no row 'bas'. Did you mean 'base'?",
        ),
        (
            f'{ADAPTIVE.replace("task.dev", "task.test")}, estimate: {{pool: "${{stages.sample}}", n: 2}}',
            "last.table: 'dev' was measured on task.dev, but `problems` here is task.test. Give both the",
        ),
        (
            f'{ADAPTIVE.replace("stages.dev", "stages.few")}, estimate: {{pool: "${{stages.sample}}", n: 2}}',
            "last.table: 'few' was measured on the first 3 problems; give this stage `limit: 3` or less.",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.pool}}", n: 2}}',
            "last.estimate.pool: strategies of 'voted' vote over the samples of 'pool', so that an estimate by them",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.replayed}}", n: 2}}',
            "last.estimate.pool: strategies of 'voted' vote over the samples of 'pool', so that an estimate by them",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.again}}", n: 2}}',
            "last.estimate.pool: 'again' draws with the policy and the seed of 'pool', over which 'voted' votes, so",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.walk}}", n: 2}}',
            "last.estimate.pool: paths of a tree that 'mcts' grew are not independent samples.",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.judged}}", n: 2}}',
            "last.estimate.pool: 'judged' has `gold: true`, and an estimate may not see gold. Grow the",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.judged}}", n: 5, by: score}}',
            "last.estimate.by: 'score' reads a verifier's values, and 'judged' has no `scorer`.",
        ),
        (
            f'{EXPLORED}, estimate: {{pool: "${{stages.ranked}}", n: 2, by: score}}',
            "last.estimate.by: 'score' compares problems, but the scores of 'ranker' rank the solutions of one",
        ),
        (
            'uses: evaluate_verifier, verifiers: {orm: "${stages.orm}"}, problems: "${task.dev}", aggregate: min, '
            'solutions: "${stages.sample}", policy: "${stages.base}"',
            "last.verifiers.orm: aggregate is 'min', but the head is read at the last token only; expected 'last'.",
        ),
        (
            'uses: evaluate_verifier, verifiers: {orm: "${stages.orm}", rm: "${stages.ranker}"}, problems: '
            '"${task.dev}", solutions: "${stages.sample}", policy: "${stages.base}", votes: [{uses: filtered, bar: 1}]',
            "last.verifiers.rm: 'filtered' compares scores with a bar, but its scores rank the solutions of one",
        ),
        (
            'uses: evaluate_verifier, verifiers: {orm: "${stages.orm}"}, problems: "${task.test}", '
            'solutions: "${stages.sample}", policy: "${stages.base}"',
            "last.solutions: 'sample' made these rows for task.dev, but here they are paired with task.test.",
        ),
        (
            'uses: evaluate_verifier, verifiers: {orm: "${stages.orm}"}, problems: "${task.dev}", '
            'solutions: "${stages.refined}", policy: "${stages.base}"',
            "last.solutions: the rows of 'refined' are steps of its program 'self_refine': no independent samples, and",
        ),
        (
            f'{ADAPTIVE}, estimate: {{pool: "${{stages.refined}}", n: 2}}',
            "last.estimate.pool: the rows of 'refined' are steps of its program 'self_refine': no independent samples",
        ),
        (
            'uses: calibrate, verifier: "${stages.orm}", problems: "${task.dev}", aggregate: min, '
            'solutions: "${stages.sample}", policy: "${stages.base}"',
            "last.aggregate: aggregate is 'min', but the head is read at the last token only; expected 'last'.",
        ),
        (
            'uses: sft, policy: "${stages.base}", data: "${stages.kept}", learning_rate: 1e-3, max_steps: 1, '
            "losses: [cross_entropy, sparse_kl]",
            "last.data: 'sample' gives solutions without a teacher, which loss 'sparse_kl' reads. Put a stage",
        ),
        (
            'uses: soften, policy: "${stages.base}", data: "${task.train.gold}"',
            "last.data: 'task.train.gold' gives solutions without token ids for the teacher to read. Put stage",
        ),
        (
            'uses: select, solutions: "${stages.sample}", as_many_tokens_as: "${task.train.gold}"',
            "last.policy: as_many_tokens_as counts tokens, but 'task.train.gold' gives text only.",
        ),
        (
            'uses: choose, policies: {base: "${stages.base}"}, table: "${stages.dev}", metric: acuracy',
            "last.metric: there is no metric 'acuracy'. Did you mean 'accuracy'?",
        ),
        (
            'uses: choose, policies: {base: "${stages.base}"}, table: "${stages.dev}", metric: pass@4',
            "last.metric: pass@4 needs 4 samples a problem, but the table draws 2",
        ),
        (
            'uses: decontaminate, problems: "${task.train}", against: ["${tasks.words.train}"], match: exact',
            "last.against.0: match=exact is for tasks whose splits are disjoint by construction; 'jsonl' does not",
        ),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, stage: str, message: str) -> None:
    assert message in refusal(tmp_path, stage)


@pytest.mark.parametrize("policies", ["{a: '${stages.joint}', b: '${stages.base}'}", "{b: '${stages.base}'}"])
def test_choices_are_followed(tmp_path: Path, policies: str) -> None:
    chosen = f"choice: {{uses: choose, policies: {policies}, table: '${{stages.dev_both}}'}}"
    dev = f"dev_both: {{uses: evaluate, policies: {policies}, problems: '${{task.dev}}'}}"
    text = STAGES.replace("      last:", f"      {dev}\n      {chosen}\n      last:")
    said = refusal(tmp_path, f"{SEARCH.replace('base', 'choice')}, {MCTS}, scorer: {{uses: joint}}", text=text)
    assert "last.scorer: 'joint' reads a value head of the policy, but 'base'" in said


ALPHAMATH = """
    name: alphamath
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 1e-3, max_steps: 1}
    rounds:
      grow:
        max: 3
        policy: joint
        start: {joint: "${stages.base}"}
        DIFFERENCE
        stages:
          trees: {uses: search, policy: "${previous.joint}", problems: "${task.explore}", gold: true,
            search: {uses: mcts, simulations: 4}, scorer: {uses: joint}}
          paths: {uses: sft_paths, trees: "${stages.trees}", policy: "${previous.joint}"}
          values: {uses: value_targets, trees: "${stages.trees}", policy: "${previous.joint}", targets: {uses: q}}
          joint: {uses: sft, policy: "${stages.base}", data: "${stages.paths}", value: {targets: "${stages.values}"},
            losses: [cross_entropy, mse],
            packing: tree, learning_rate: 1e-3, max_steps: 1}
"""


def test_the_first_round_of_alphamath_has_no_head(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, ALPHAMATH.replace("DIFFERENCE", ""))
    [line] = str(caught.value).splitlines()
    assert line.endswith(
        "rounds.grow.stages.trees.scorer: 'joint' reads a value head of the policy, but 'base' (a stage of type "
        "'sft') makes none. Train one (`sft` with `value`, or `train_verifier`), or use another scorer; in "
        "rounds, `first: {STAGE: {scorer: ...}}` gives round 1 a scorer of its own."
    )


def test_with_a_scorer_of_its_own_it_runs(tmp_path: Path) -> None:
    nodes = load(tmp_path, ALPHAMATH.replace("DIFFERENCE", "first: {trees: {scorer: {uses: rollouts}}}")).nodes
    assert [nodes[f"rounds.grow.{k}.trees"].config["scorer"]["uses"] for k in (1, 2, 3)] == [
        "rollouts",
        "joint",
        "joint",
    ]


TUNED = """
    name: effort
    include: [configs/models/tiny.yaml, configs/tasks/chain.yaml]
    stages:
      base: {uses: sft, policy: "${model}", data: "${task.train.gold}", learning_rate: 1e-3, max_steps: 1}
      method: {uses: sft, policy: "${stages.base}", data: "${task.train.gold}", max_steps: 1,
        grid: {learning_rate: [1e-3, 3e-4, 1e-4]}}
      control: {uses: sft, policy: "${stages.base}", data: "${task.train.gold}", max_steps: 2,
        grid: {learning_rate: [1e-3, 3e-4]}}
      dev: {uses: evaluate, policies: {method: "${stages.method}", control: "${stages.control}"},
        problems: "${task.dev}"}
      best_method: {uses: choose, policies: "${stages.method}", table: "${stages.dev}"}
      best_control: {uses: choose, policies: "${stages.control}", table: "${stages.dev}"}
      eval: {uses: evaluate, policies: {base: "${stages.base}", control: "${stages.best_control}",
        method: "${stages.best_method}"}, problems: "${task.test}"}
"""


def test_arms_are_tuned_with_the_same_effort(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, TUNED)
    assert "stages.eval.policies: rows were chosen out of different numbers of candidates: 'control' out of 2, " in str(
        caught.value
    )
    assert load(tmp_path, TUNED, "stages.control.grid.learning_rate=[1e-3, 3e-4, 1e-4]").nodes
    assert load(tmp_path, TUNED, "stages.best_control.uneven='cheaper, and close'").nodes


ELSEWHERE = (
    TUNED.partition("      eval:")[0]
    + """
      one: {uses: search, policy: "${stages.best_method}", problems: "${task.test}", scorer: likelihood,
        search: {uses: best_of_n, n: 2}}
      two: {uses: search, policy: "${stages.best_control}", problems: "${task.test}", scorer: likelihood,
        search: {uses: best_of_n, n: 2}}
      left: {uses: evaluate, policies: {method: "${stages.best_method}"}, problems: "${task.test}"}
      right: {uses: evaluate, policies: {control: "${stages.best_control}"}, problems: "${task.test}"}
"""
)
"""Arms that were chosen out of three and out of two, and what evaluates them besides one `evaluate`."""


@pytest.mark.parametrize(
    ("field", "stage"),
    [
        (
            "met.strategies",
            """met: {uses: evaluate_trees, problems: "${task.test}", strategies: {method: {trees: "${stages.one}"},
               control: {trees: "${stages.two}"}}}""",
        ),
        (
            "met.verifiers",
            """pool: {uses: sample, policy: "${stages.base}", problems: "${task.test}", n: 2}
      met: {uses: evaluate_verifier, problems: "${task.test}", solutions: "${stages.pool}", policy: "${stages.base}",
            likelihoods: {method: "${stages.best_method}", control: "${stages.best_control}"}}""",
        ),
        (
            "met.form",
            """met: {uses: claim, tables: {left: "${stages.left}", right: "${stages.right}"},
            form: {uses: difference, better: left/method, than: right/control}}""",
        ),
    ],
    ids=["trees", "verifiers", "claim"],
)
def test_arms_are_tuned_with_the_same_effort_wherever_they_meet(tmp_path: Path, field: str, stage: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, f"{ELSEWHERE}      {stage}\n")
    assert f"stages.{field}: rows were chosen out of different numbers of candidates: " in str(caught.value)
    assert load(tmp_path, f"{ELSEWHERE}      {stage}\n", "stages.control.grid.learning_rate=[1e-3, 3e-4, 1e-4]").nodes


def test_a_table_says_what_was_tried(tmp_path: Path) -> None:
    """A baseline that was not chosen at all is allowed; the table's config, without the key, says so."""
    nodes = load(tmp_path, TUNED, "stages.best_control.uneven='cheaper, and close'").nodes
    assert nodes["eval"].config["tried"] == {"control": {"best_control": 2}, "method": {"best_method": 3}}
    assert "tried" not in nodes["eval"].asked


def test_a_choice_that_all_arms_share_makes_no_difference(tmp_path: Path) -> None:
    """The trees of all arms are of one chosen policy; two of the arms have a chosen policy for their scorer, too."""
    search = """{uses: search, policy: "${stages.best_control}", problems: "${task.test}",
        scorer: likelihood, verifier: "${stages.best_method}", search: """
    stages = f"""
      by_one: {search}{{uses: best_of_n, n: 2}}}}
      by_two: {search}{{uses: best_of_n, n: 3}}}}
      met: {{uses: evaluate_trees, problems: "${{task.test}}", strategies: {{plain: {{trees: "${{stages.two}}"}},
        one: {{trees: "${{stages.by_one}}"}}, two: {{trees: "${{stages.by_two}}"}}}}}}
    """
    tried = load(tmp_path, ELSEWHERE + stages).nodes["met"].config["tried"]
    both = {"best_control": 2, "best_method": 3}
    assert tried == {"plain": {"best_control": 2}, "one": both, "two": both}


def test_a_choice_among_choices_counts_all_that_were_tried(tmp_path: Path) -> None:
    """`best_method` is one of three, and `again` one of it and of `other`: four were tried, and so were four others."""
    more = """
      other: {uses: sft, policy: "${stages.base}", data: "${task.train.gold}", max_steps: 3, learning_rate: 1e-3}
      second: {uses: evaluate, policies: {one: "${stages.best_method}", two: "${stages.other}"},
        problems: "${task.dev}"}
      again: {uses: choose, policies: {one: "${stages.best_method}", two: "${stages.other}"}, table: "${stages.second}"}
      met: {uses: evaluate, policies: {method: "${stages.again}", control: "${stages.best_control}"},
        problems: "${task.test}"}
    """
    with pytest.raises(RecipeError, match="'method' out of 4, 'control' out of 2"):
        load(tmp_path, ELSEWHERE + more)
    rates = "stages.control.grid.learning_rate=[1e-3, 3e-4, 1e-4, 3e-5]"
    tried = load(tmp_path, ELSEWHERE + more, rates).nodes["met"].config["tried"]
    assert tried == {"method": {"again": 4}, "control": {"best_control": 4}}


def test_candidates_are_compared_on_the_same_problems(tmp_path: Path) -> None:
    more = """
      few: {uses: evaluate, policies: {control: "${stages.control[learning_rate=0.001]}"}, problems: "${task.dev}"}
      last: {uses: choose, policies: {base: "${stages.base}", control: "${stages.control[learning_rate=0.001]}"},
        table: {base: "${stages.all}", control: "${stages.few}"}}
      all: {uses: evaluate, policies: {base: "${stages.base}"}, problems: "${task.dev}"}
    """
    assert load(tmp_path, ELSEWHERE + more).nodes
    for change, said in (
        ("limit=2", "'control' on task.dev (limit=2)"),
        ("problems=${task.explore}", "'control' on task.explore"),
        ("where={terms: 2}", "'control' on task.dev (where={'terms': 2})"),
    ):
        with pytest.raises(RecipeError) as caught:
            load(tmp_path, ELSEWHERE + more, f"stages.few.{change}")
        told = f"stages.last.table: candidates are compared on different problems: 'base' on task.dev, {said}."
        assert told in str(caught.value)
