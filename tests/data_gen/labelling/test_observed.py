"""What tools gave back is nobody's step: not in trees, pairs and targets, nor for verifiers of another tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from data_gen.engines.base import LM
from data_gen.engines.programs import run_programs
from data_gen.engines.scripted import ScriptedEngine
from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.labelling.pairs.base import draw_pairs, takes_sides
from data_gen.labelling.pairs.margin import Margin
from data_gen.labelling.pairs.whole import WholePairs
from data_gen.labelling.paths import PathPolicy
from data_gen.labelling.reach import View
from data_gen.labelling.recode import Recoder
from data_gen.labelling.solutions import path_solutions
from data_gen.labelling.steps import in_steps
from data_gen.labelling.targets import TargetRule
from data_gen.labelling.targets.outcome import Outcome
from data_gen.labelling.targets.prefix_ratio import PrefixRatio
from data_gen.labelling.values import value_targets
from data_gen.records.problem import Problem
from data_gen.records.scales import Scale
from data_gen.records.segment import Kind
from data_gen.records.trees import ROOT, Tree, TreeNode
from data_gen.search.expand import Expand
from data_gen.search.reading import Limits
from data_gen.search.tree import SearchTree
from data_gen.verifiers.heads import HeadConfig
from reasoning_train.trainers.data.pairs import encode_pairs
from reasoning_train.trainers.data.solutions import encode_solutions
from reasoning_train.trainers.data.values import encode_values
from tests.data_gen.test_format import bpe
from tests.data_gen.test_marks import MARKS, marked, merging
from tests.data_gen.typed import typed

HERE = Path(__file__).parents[3]
CODEC = marked(bpe())
CALL, TOLD = "Call: 3+4\n", "```output\nAnswer: 9\n```\n"
RIGHT, WRONG = (CALL, TOLD, "3 + 4 = 7\n", "Answer: 7"), (CALL, TOLD, "3 + 4 = 8\n", "Answer: 8")
PROBLEM = Problem(id="p", question="3 + 4?", gold="7", group="p", split="train")


def ids_of(texts: tuple[str, ...], *, end: bool = True, codec: StepCodec = CODEC) -> tuple[int, ...]:
    ids = codec.tokenizer("".join(texts), add_special_tokens=False)["input_ids"]
    return (*ids, codec.end_id) if end else tuple(ids)


def planted(*solutions: tuple[str, ...]) -> Tree:
    """Whole solutions below the question; the first one is right."""
    root = TreeNode(
        node=0,
        parent=ROOT,
        depth=0,
        text=CODEC.prompt_text(PROBLEM.question),
        token_ids=tuple(CODEC.prompt_ids(PROBLEM.question)),
    )
    ends: dict[str, Any] = {"terminal": "answer", "parent": 0, "depth": 1}
    leaves = [
        TreeNode(node=i + 1, text="".join(texts), token_ids=ids_of(texts), outcome=float(i == 0), answer="7", **ends)
        for i, texts in enumerate(solutions)
    ]
    return Tree(problem_id="p", sample=0, nodes=(root, *leaves), scale="p", question=PROBLEM.question)


TREE = in_steps(planted(RIGHT, WRONG), CODEC)


def told(ids: tuple[int, ...], weights: tuple[float, ...]) -> str:
    """The text of the tokens of weight 0."""
    return CODEC.decode([token for token, weight in zip(ids, weights, strict=True) if weight == 0.0])


def test_a_node_is_a_step_of_the_policy_with_what_was_told_before_it() -> None:
    assert [(node.text, node.parent) for node in TREE.nodes[1:]] == [
        (CALL, 0),
        (TOLD + RIGHT[2], 1),
        (RIGHT[3], 2),
        (TOLD + WRONG[2], 1),
        (WRONG[3], 4),
    ]
    observed = [CODEC.decode(node.token_ids[: node.observed]) for node in TREE.nodes[1:]]
    assert observed == ["", TOLD, "", TOLD, ""]


def test_a_search_that_stops_at_lines_makes_the_same_steps() -> None:
    lines = (CALL, "```output\n", "Answer: 9\n", "```\n", RIGHT[2], RIGHT[3])
    pieces = [ids_of((line,), end=line is lines[-1]) for line in lines]
    assert sum(pieces, ()) == ids_of(RIGHT)
    chain = [planted().root]
    for i, (line, ids) in enumerate(zip(lines, pieces, strict=True)):
        last: dict[str, Any] = {"terminal": "answer", "outcome": 1.0} if i == len(lines) - 1 else {}
        chain.append(TreeNode(node=i + 1, parent=i, depth=i + 1, text=line, token_ids=ids, **last))
    made = in_steps(replace(planted(), nodes=tuple(chain)), CODEC)
    assert [(n.token_ids, n.observed) for n in made.nodes] == [(n.token_ids, n.observed) for n in TREE.nodes[:4]]


def test_sides_of_pairs_have_no_loss_on_what_was_told() -> None:
    for rule in (WholePairs(), Margin(value="reach", margin=0.5)):
        [pair] = draw_pairs(rule, TREE, Random(0), None)[0]
        assert told(pair.chosen_ids, pair.chosen_weights) == told(pair.rejected_ids, pair.rejected_weights) == TOLD
        [row] = encode_pairs([pair], CODEC, 512, vocabulary=len(CODEC.tokenizer)).rows
        for trace, weights in zip(row.traces, (pair.chosen_weights, pair.rejected_weights), strict=True):
            assert trace.weights == (0.0,) * len(pair.prompt_ids) + weights
        assert pair.trained_tokens == sum(pair.chosen_weights) + sum(pair.rejected_weights)
        for bad in ((0.0,) * len(pair.chosen_ids), (1.0,)):
            with pytest.raises(UserError, match="chosen_weights is .*one a token and not all 0"):
                encode_pairs([replace(pair, chosen_weights=bad)], CODEC, 512, vocabulary=len(CODEC.tokenizer))


@pytest.mark.parametrize("rule", [Outcome(level="tokens"), Outcome(level="steps"), PrefixRatio(level="tokens")])
def test_no_value_stands_on_what_was_told(rule: TargetRule) -> None:
    paths = PathPolicy(correct=1, wrong=1).choose([TREE], Random(0), whole=True)[0]
    for row in value_targets(paths, rule, multiplicity="paths"):
        length, begin = len(ids_of((TOLD,), end=False)), len(ids_of((CALL,), end=False))
        assert not {*row.at} & {*range(begin, begin + length)}
        assert {*row.ends} <= {*row.at}


def test_a_path_that_is_cut_behind_a_tool_has_its_last_value_at_the_call() -> None:
    """The last node is what was told alone: no step of the policy, and no side of a pair."""
    whole = planted(RIGHT)
    ids = ids_of((CALL, TOLD), end=False)
    cut = replace(whole.nodes[1], text=CALL + TOLD, token_ids=ids, terminal="limit", answer=None, outcome=0.0)
    tree = in_steps(replace(whole, nodes=(whole.root, cut)), CODEC)
    assert [(node.text, node.own) for node in tree.nodes[1:]] == [(CALL, True), (TOLD, False)]
    assert not takes_sides(View(tree), tree.nodes[2])
    paths = PathPolicy(correct=0, wrong=1).choose([tree], Random(0), whole=False)[0]
    last = len(ids_of((CALL,), end=False)) - 1
    for rule, at in (
        (Outcome(level="last"), (last,)),
        (Outcome(level="steps"), (last,)),
        (Outcome(level="tokens"), tuple(range(last + 1))),
        (PrefixRatio(level="steps"), (last,)),
    ):
        assert [row.at for row in value_targets(paths, rule, multiplicity="paths")] == [at]


def test_paths_teach_nothing_of_what_was_told() -> None:
    paths = PathPolicy(correct=1).choose([TREE], Random(0), whole=True)[0]
    [solution] = path_solutions(paths, CODEC)
    assert [str(s.kind) for s in solution.segments] == ["action", "observation", "step", "answer", "end"]
    [row] = encode_solutions([solution], CODEC, 512).rows
    start = len(solution.prompt_ids)
    assert told(row.traces[0].ids[start:], row.traces[0].weights[start:]) == TOLD


@pytest.mark.parametrize("tokenizer", [bpe(trim=True), merging()])
def test_labels_cross_to_another_model_with_their_kinds(tokenizer: Any) -> None:
    own = StepCodec(Format(task=TaskFormat(marks=MARKS), model=ModelFormat(plain_suffix=" ->\n")), tokenizer)
    recoder = Recoder(own, CODEC)
    [pair] = draw_pairs(WholePairs(), TREE, Random(0), None)[0]
    crossed = recoder.pair(pair, PROBLEM)
    assert crossed is not None
    for ids, weights in (
        (crossed.chosen_ids, crossed.chosen_weights),
        (crossed.rejected_ids, crossed.rejected_weights),
    ):
        kinds = [s.kind for s in own.split(ids) for _ in s.token_ids]
        assert weights == tuple(float(kind is not Kind.OBSERVATION) for kind in kinds) and 0.0 in weights
    paths = PathPolicy(correct=1).choose([TREE], Random(0), whole=True)[0]
    [target] = value_targets(paths, Outcome(), multiplicity="paths")
    moved = recoder.target(target, PROBLEM)
    assert moved is not None and moved.at == moved.ends and len(moved.at) == 3
    assert "".join(moved.completions).replace(" ", "") == "".join(RIGHT).replace(" ", "")


def test_a_step_is_drawn_to_the_end_of_its_span() -> None:
    """The engine stops at every line; a thought of two lines is one step, and the answer in it ends nothing."""
    written = ids_of(("<think>a\nAnswer: 5\n</think>", "3 + 4 = 7\n", "Answer: 7"))
    [line] = CODEC.tokenizer("\n", add_special_tokens=False)["input_ids"]
    start = len(CODEC.prompt_ids(PROBLEM.question))

    def script(prefix: tuple[int, ...], seed: int) -> tuple[int, ...]:
        rest = written[len(prefix) - start :]
        return rest[: rest.index(line) + 1] if line in rest else rest

    async def program(problem: Problem, lm: LM) -> list[tuple[str, str, str | None]]:
        tree = SearchTree(problem, lm, CODEC, Limits(max_depth=9, max_length=99), Scale.P)
        node, found = tree.root, []
        while not node.terminal:
            [node] = await tree.expand(node, Expand(n=1))
            found.append((node.text, node.terminal, node.answer))
        assert tree.steps(node) == (("3 + 4 = 7",), "Answer: 7")
        return found

    [(_, found)] = run_programs(
        ScriptedEngine(script), [PROBLEM], program, seed=0, key=lambda problem: problem.id, in_flight=1
    )
    assert found == [("<think>a\nAnswer: 5\n</think>3 + 4 = 7\n", "", None), ("Answer: 7", "answer", "7")]


def test_labels_of_another_template_are_refused() -> None:
    """The tokenizer is the same, so that nothing else would tell."""
    student = StepCodec(Format(task=TaskFormat(marks=MARKS), model=ModelFormat(plain_suffix=" ->\n")), bpe())
    [pair] = draw_pairs(WholePairs(), TREE, Random(0), None)[0]
    vocabulary = len(CODEC.tokenizer)
    with pytest.raises(UserError, match="this model is asked .*Make the rows by stage `recode_pairs`"):
        encode_pairs([pair], student, 512, vocabulary=vocabulary)
    paths = PathPolicy(correct=1).choose([TREE], Random(0), whole=True)[0]
    targets = value_targets(paths, Outcome(), multiplicity="paths")
    with pytest.raises(UserError, match="this model is asked .*Make the rows by stage `recode_targets`"):
        encode_values(targets, student, HeadConfig(), 512, vocabulary=vocabulary)
    assert encode_values(targets, CODEC, HeadConfig(), 512, vocabulary=vocabulary).rows


def test_the_format_that_is_shipped_marks_these_kinds() -> None:
    document = yaml.safe_load((HERE / "configs/formats/tools.yaml").read_text(encoding="utf-8"))
    codec = StepCodec(Format(task=TaskFormat(**document["task"]["format"])), bpe())
    said = "Plan: add\n<think>7?</think>\n```python\nprint(3 + 4)\n```\n```output\n7\n```\nAnswer: 7"
    kinds = [str(s.kind) for s in codec.split(codec.tokenizer(said, add_special_tokens=False)["input_ids"])]
    assert kinds == ["plan", "think", "code", "observation", "answer"]


def test_segments_of_prompts_are_not_the_policys() -> None:
    segments = CODEC.encode(typed(("prompt", "And then?\n"), ("step", "3 + 4 = 7\n")), end=False)
    assert [segment.weight for segment in segments] == [0.0, 1.0]
