"""Small trees by hand: nested tuples to trees, over the words of the toy world."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from data_gen.labelling.reach import View
from data_gen.labelling.steps import in_steps
from data_gen.records.trees import ROOT, Tree, TreeNode
from tests.data_gen.search.toy import CODEC, TOKENIZER

END = CODEC.end_id

Spec = tuple[str, tuple[Any, ...], dict[str, Any]]
"""(text, children, further fields)."""


def ids_of(text: str, *, end: bool = False) -> tuple[int, ...]:
    """Token ids of a text, with the stop token if `end`."""
    return tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"]) + (END,) * end


def step(text: str, *children: Spec, **fields: Any) -> Spec:
    """One step: its text (the delimiter is added) and what is below it."""
    return f"{text}\n", children, fields


def answer(value: int | str, outcome: float | None = -1.0, /, **fields: Any) -> Spec:
    """A leaf that ends a solution; right where the answer is 1, unless `outcome` says otherwise."""
    return (
        f"Answer: {value}",
        (),
        {"terminal": "answer", "answer": str(value), "outcome": _outcome(value, outcome), **fields},
    )


def rollout(steps: str, value: int | str, outcome: float | None = -1.0, /, **fields: Any) -> Spec:
    """A completion in one node: `rollout("ab", 1)` is "a\\nb\\nAnswer: 1"."""
    text = "".join(f"{letter}\n" for letter in steps) + f"Answer: {value}"
    own = {"terminal": "answer", "answer": str(value), "outcome": _outcome(value, outcome), "source": "rollout"}
    return text, (), {**own, **fields}


def cut(text: str, **fields: Any) -> Spec:
    """A leaf that the search's limits cut."""
    return text, (), {"terminal": "limit", "outcome": 0.0, **fields}


def _outcome(value: int, outcome: float | None) -> float | None:
    return float(value == 1) if outcome == -1.0 else outcome


def plant(*children: Spec, problem: str = "p", sample: int = 0, scale: str = "p", **root: Any) -> Tree:
    """A tree; nodes are numbered depth first, in the order written."""
    nodes = [TreeNode(node=0, parent=ROOT, depth=0, text="go\n", token_ids=tuple(CODEC.prompt_ids("go")), **root)]

    def add(spec: Spec, parent: TreeNode) -> None:
        text, below, fields = spec
        own = {"token_ids": ids_of(text, end=fields.get("terminal") in ("answer", "invalid")), **fields}
        nodes.append(TreeNode(node=len(nodes), parent=parent.node, depth=parent.depth + 1, text=text, **own))
        node = nodes[-1]
        for child in below:
            add(child, node)

    for child in children:
        add(child, nodes[0])
    return Tree(problem_id=problem, sample=sample, nodes=tuple(nodes), scale=scale, stopped="budget", group=problem)


def view(*children: Spec, **more: Any) -> View:
    """A planted tree as rules see it."""
    return View(in_steps(plant(*children, **more), CODEC))


answers = st.sampled_from([("1", 1.0), ("1", 1.0), ("0", 0.0), ("0", 0.0), ("a", None)])
"""Answers with their outcomes; what is no number cannot be verified."""
leaves = st.builds(
    lambda given, n, draws: answer(*given, visits=n, total=n * (given[1] or 0.0), draws=draws),
    answers,
    st.integers(0, 3),
    st.integers(1, 3),
)
rollouts = st.builds(lambda steps, given: rollout(steps, *given), st.text("abc", max_size=3), answers)


def _inner(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    below = st.lists(children, max_size=4)
    return st.builds(
        lambda letter, specs, n, q: step(letter, *specs, visits=n, total=n * q),
        st.sampled_from("abc"),
        below,
        st.integers(0, 9),
        st.floats(0, 1),
    )


trees = st.lists(
    st.recursive(leaves | rollouts | st.just(cut("a b")), _inner, max_leaves=14), min_size=1, max_size=5
).map(lambda specs: plant(*specs))
"""Trees of steps, answers, rollouts and cut ends, twins included."""
