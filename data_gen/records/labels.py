"""The rows that labelling makes from trees: preferences between two continuations, and values along a path.

Token ids are authoritative; text is derived from them. The Hub's standard columns come first (`prompt`, `chosen`,
`rejected`; trl's stepwise-supervision `prompt`, `completions`, `labels`). Nodes are numbered as in the tree that
`labelling.steps.in_steps` returns, one step per node. Rows of one tree that name the same node share its tokens, so
they can be packed into one tree again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from data_gen.records.rows import Single, Tags, from_row, to_row

Granularity = Literal["token", "step", "suffix", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPair:
    """Two continuations of one prefix, the better one first. Neither holds tokens of the prefix.

    >>> pair = StepPair(problem_id="chain/train/7", tree=0, prompt="Ana has 12. ...\\n12 + 5 = 17\\n",
    ...     chosen="17 - 3 = 14\\n", rejected="17 - 3 = 15\\n", prompt_ids=(5, 9, 7, 4), prompt_length=2,
    ...     chosen_ids=(8, 3, 4), rejected_ids=(8, 6, 4), prefix_nodes=(1,), chosen_nodes=(4,), rejected_nodes=(5,),
    ...     score_chosen=0.75, score_rejected=0.25, scale="p", rule="margin")
    >>> pair.margin, pair.prefix_ids
    (0.5, (7, 4))
    """

    prompt: str
    """What both sides continue: the question as the model sees it and the steps that the sides share."""
    chosen: str
    rejected: str
    problem_id: str
    tree: int
    """Index of the tree among the problem's trees."""
    rule: str
    """Name of the rule that made the pair."""
    prompt_ids: tuple[int, ...]
    """Ids of `prompt`."""
    prompt_length: int
    """Number of prompt ids that are the question. The rest is the shared prefix."""
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]
    chosen_weights: tuple[Single, ...] = ()
    """Loss weight of each token of the side, 0 for tool outputs. Empty: 1 for all."""
    rejected_weights: tuple[Single, ...] = ()
    prefix_nodes: tuple[int, ...] = ()
    """From the root's child to where the sides part. Empty if they part at the root."""
    chosen_nodes: tuple[int, ...]
    rejected_nodes: tuple[int, ...]
    score_chosen: float
    score_rejected: float
    scale: str
    """Scale tag of the scores (see scales.py)."""
    label_smoothing: float = 0.0
    """Probability that the label is wrong; in MCTS-DPO N_rejected / (N_chosen + N_rejected), at most 0.5."""
    weight: float = 1.0
    granularity: Granularity = "step"
    """What a side is: `step` is one step, `suffix` several steps up to a later point, `full` a whole solution, `token`
    a part of a step."""
    end_mark: Literal["none", "eos"] = "none"
    """`eos`: a side that ends its solution keeps the stop token. A step that does not end its solution has none."""
    reference_chosen: float | None = None
    """Log-probability of the side's tokens under the reference policy (stage `reference`)."""
    reference_rejected: float | None = None
    group: str = ""
    difficulty: float | None = None
    question: str = ""
    """The problem's question without any template (see `Solution.question`)."""
    tags: Tags = field(default_factory=dict, hash=False)
    """The problem's tags."""

    @property
    def margin(self) -> float:
        """How much better the chosen side is, on `scale`."""
        return self.score_chosen - self.score_rejected

    @property
    def trained_tokens(self) -> float:
        """Weighted number of tokens of both sides that enter the loss; the pair's weight counts too."""
        sides = (self.chosen_weights, self.chosen_ids), (self.rejected_weights, self.rejected_ids)
        return self.weight * sum(sum(weights) if weights else len(ids) for weights, ids in sides)

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """Ids of the shared steps."""
        return self.prompt_ids[self.prompt_length :]

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: the Hub's preference type, then our columns, `margin` among them."""
        return {**to_row(self), "margin": self.margin}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        return cls(**from_row(cls, row))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTarget:
    """One root-to-leaf path and the values that a verifier should give along it.

    Targets stand at the indices `at` into `token_ids`: the last token of a step, or any token (prefix ratios). A prefix
    whose value is unknown has no target.

    >>> row = ValueTarget(problem_id="chain/train/7", tree=0, prompt="Ana has 12. ...\\n",
    ...     completions=("12 + 5 = 17\\n", "Answer: 17"), labels=(True, True), prompt_ids=(5, 9),
    ...     token_ids=(7, 4, 6, 1), ends=(1, 3), nodes=(1, 2), at=(1, 3), values=(0.5, 1.0), n_eff=(4.0, 1.0),
    ...     weights=(1.0, 1.0), correct=(2.0, 1.0), total=(4.0, 1.0), scale="p", source="mc", outcome=1.0)
    >>> [row.token_ids[i] for i in row.at]
    [4, 1]
    """

    prompt: str
    completions: tuple[str, ...]
    """The steps, delimiters included."""
    labels: tuple[bool | None, ...]
    """Each step's target as right or wrong, as other tools read it. None where there is no target."""
    problem_id: str
    tree: int
    """Index of the tree among the problem's trees."""
    source: str
    """Kind of the values: `outcome`, `mc`, `q`, `prefix_ratio`, `progress`."""
    scale: str
    """Scale tag of `values` (see scales.py)."""
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """The path after the prompt, including the stop token if it was drawn."""
    ends: tuple[int, ...]
    """Index of the last token of every step."""
    nodes: tuple[int, ...]
    """Node of every step."""
    at: tuple[int, ...]
    values: tuple[Single, ...]
    n_eff: tuple[Single, ...]
    """Observations behind each value: rollouts, visits, draws."""
    weights: tuple[Single, ...]
    """Loss weight of each target; see `multiplicity`."""
    correct: tuple[Single, ...] = ()
    """Counts behind the values, from which soft and hard labels are derived. Empty for targets that are not ratios of
    counts."""
    total: tuple[Single, ...] = ()
    multiplicity: Literal["paths", "unique"] = "paths"
    """`paths`: a target on k rows counts k times. `unique`: its weight is divided by k, so that it counts once, as in
    the tree."""
    outcome: float | None = None
    """1 for a path that ends right, 0 for one that ends wrong."""
    group: str = ""
    difficulty: float | None = None
    question: str = ""
    """The problem's question without any template (see `Solution.question`)."""
    tags: Tags = field(default_factory=dict, hash=False)
    """The problem's tags."""

    @property
    def trained_tokens(self) -> float:
        """Weighted number of tokens that have a target."""
        return float(sum(self.weights))

    def to_row(self) -> dict[str, Any]:
        """The Parquet row: trl's stepwise supervision, then our columns."""
        return to_row(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a Parquet row; extra columns are ignored."""
        return cls(**from_row(cls, row))
