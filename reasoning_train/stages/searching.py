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
    from reasoning_train.api.refs import Ref
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
    policy, grader = open_policy(config.policy, config.problems, ctx)
    refuse_ends(policy.format.task)
    gold, in_flight = grader if config.gold else None, config.engine.in_flight(config.search.width())
    tools = tools_of(ctx, policy, config.policy, config.verifier, gold)
    scorer = config.scorer.open(tools) if config.scorer else None
    values = config.scorer is not None and config.scorer.needs_value_head
    with open_engine(policy, config.engine, ctx, values=values) as engine:
        yield Grower(engine, policy.codec, policy.context, config.search, scorer, grader, config.gold, in_flight)


def open_policy(policy: Ref, problems: Ref, ctx: Context) -> tuple[PolicyText, GrantedGold]:
    """A policy's text conventions, and what grades its answers to problems. UserError if its Format differs from
    theirs."""
    from reasoning_train.models.policy_text import load_policy_text

    text, task = load_policy_text(ctx.input(policy).path), load_task(ctx.input(problems))
    own = text.format.model_copy(update={"task": task.format})
    text.format.check_same_task(own, f"policy {policy}", f"problems {problems}")
    return text, GrantedGold(task, text.codec)


def tools_of(ctx: Context, policy: PolicyText, made: Ref, verifier: Ref | None, gold: GrantedGold | None) -> Tools:
    """What a stage offers to a scorer that it opens.

    Args:
        ctx: Of the stage.
        policy: The text conventions of the policy.
        made: The policy itself.
        verifier: The checkpoint that the scorer reads, if it reads one.
        gold: None where the stage does not grant it.
    """
    checkpoint = ctx.input(verifier) if verifier else None
    return Tools(
        codec=policy.codec,
        context=policy.context,
        policy_hash=_hash(ctx.input(made)),
        policy_head=read_head_config(policy.folder) if has_head(policy.folder) else None,
        verifier=checkpoint.path if checkpoint else None,
        verifier_hash=_hash(checkpoint) if checkpoint else "",
        gold=gold,
        seed=ctx.seed,
        count=ctx.count,
    )


def _hash(made: Input) -> str:
    """The first 12 characters of a model's key."""
    return str(made.manifest["key"])[:12]
