"""What the `search` stage opens: engine, scorer, gold, and the function that grows and grades a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_gen.engines.base import Sample
from data_gen.errors import UserError
from data_gen.format import StepCodec
from data_gen.scorers import GrantedGold, Scorer, Tools
from data_gen.search import Limits, Search, SearchTree
from data_gen.search.tree import judge
from data_gen.verifiers.head_files import has_head, read_head_config
from reasoning_train.models.engine import open_engine
from reasoning_train.stages.search_config import refuse_ends
from reasoning_train.store.inputs import load_task

if TYPE_CHECKING:
    from data_gen.engines.base import LM
    from data_gen.records.problem import Problem
    from data_gen.records.solution import Solution
    from data_gen.records.trees import Tree
    from reasoning_train.api.stage import Context, Input
    from reasoning_train.models.policy_text import PolicyText
    from reasoning_train.stages.search_config import SearchConfig


@dataclass(frozen=True, slots=True)
class Grower:
    """What all trees share."""

    engine: Any
    codec: StepCodec
    context: int
    """Maximum tokens of the policy's context."""
    search: Search
    scorer: Scorer | None
    grader: GrantedGold
    granted: bool
    """Whether gold may be used while a tree grows."""
    in_flight: int
    """Number of trees to grow at once: enough to keep the engine busy while some wait for scorers and graders."""

    async def grow(self, problem: Problem, sample: int, lm: LM, given: Sequence[Solution] = ()) -> Tree | None:
        """A finished tree with all its ends graded; None if the question leaves no room in the context. `given`:
        solutions to start with."""
        room = self.context - len(self.codec.prompt_ids(problem.question))
        if room < 1:
            return None
        limits = Limits(max_depth=self.search.max_depth, max_length=min(self.search.max_length, room))
        gold = self.grader if self.granted else None
        samples = [as_sample(solution, problem, self.codec) for solution in given]
        tree = SearchTree(
            problem, lm, self.codec, limits, self.search.scale, scorer=self.scorer, gold=gold, given=samples
        )
        await self.search.run(tree)
        # Ends are graded after the search, so gold cannot influence it here.
        await judge(problem, tree.nodes, self.grader)
        for node in tree.nodes[1:]:
            node.steps_ok = self.grader.steps_ok(problem, tree.steps(node)[0], ended=bool(node.terminal))
        return tree.frozen(sample, oracle=self.granted, search=self.search.uses)


def as_sample(solution: Solution, problem: Problem, codec: StepCodec) -> Sample:
    """A solution row as a sample of the policy. UserError if it continues another prompt or comes from another
    tokenizer."""
    if solution.prompt_ids and solution.prompt_ids != tuple(codec.prompt_ids(problem.question)):
        raise UserError(
            f"solutions: those of problem {problem.id!r} continue another prompt than this policy's. Put stage "
            "`recode_solutions` before this one, with `model:` this policy."
        )
    segments = solution.segments if solution.token_ids else codec.encode(solution.segments, end=True)
    ids = tuple(token for segment in segments for token in segment.token_ids)
    if codec.decode(ids).strip() != solution.text.strip():
        raise UserError(
            f"solutions: the token ids of one of problem {problem.id!r} are not those of its text with this tokenizer. "
            "Put stage `recode_solutions` before this one, with `model:` this policy."
        )
    return Sample(token_ids=ids, logprobs=solution.logprobs, finish="length" if solution.finish == "length" else "stop")


@contextmanager
def open_grower(config: SearchConfig, ctx: Context) -> Iterator[Grower]:
    """Load policy, verifier and task. UserError if the policy's or verifier's Format differs from the problems'."""
    from reasoning_train.models.policy_text import load_policy_text

    source = ctx.input(config.problems)
    policy, task = load_policy_text(ctx.input(config.policy).path), load_task(source)
    own = policy.format.model_copy(update={"task": task.format})
    policy.format.check_same_task(own, f"policy {config.policy}", f"problems {config.problems}")
    refuse_ends(task.format)
    grader, in_flight = GrantedGold(task, policy.codec), config.engine.in_flight(config.search.width())
    scorer = config.scorer.open(_tools(config, ctx, policy, grader)) if config.scorer else None
    values = config.scorer is not None and config.scorer.needs_value_head
    with open_engine(policy, config.engine, ctx, values=values) as engine:
        yield Grower(engine, policy.codec, policy.context, config.search, scorer, grader, config.gold, in_flight)


def _tools(config: SearchConfig, ctx: Context, policy: PolicyText, grader: GrantedGold) -> Tools:
    verifier = ctx.input(config.verifier) if config.verifier else None
    return Tools(
        codec=policy.codec,
        context=policy.context,
        policy_hash=short_hash(ctx.input(config.policy)),
        policy_head=read_head_config(policy.folder) if has_head(policy.folder) else None,
        verifier=verifier.path if verifier else None,
        verifier_hash=short_hash(verifier) if verifier else "",
        gold=grader if config.gold else None,
        seed=ctx.seed,
        count=ctx.count,
    )


def short_hash(made: Input) -> str:
    """The first 12 characters of a model's key."""
    return str(made.manifest["key"])[:12]
