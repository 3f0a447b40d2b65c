"""Mistakes, one in one function each, that the known answers must catch."""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` becomes `new` in the source of a function, and the case of `piece` must tell."""

    name: str
    function: str
    """`package.module:Class.method`."""
    old: str
    new: str
    piece: tuple[str, str]


def mutated(mutation: Mutation) -> tuple[Callable[..., Any], CodeType]:
    """The function and the code that it would have; whoever imported it runs the same object."""
    module_name, _, path = mutation.function.partition(":")
    module = importlib.import_module(module_name)
    function: Any = module
    for part in path.split("."):
        function = inspect.getattr_static(function, part)
    function = function.fget if isinstance(function, property) else getattr(function, "__func__", function)
    source = textwrap.dedent(inspect.getsource(function))
    source = source[source.index("async def" if inspect.iscoroutinefunction(function) else "def") :]
    assert source.count(mutation.old) == 1, (
        f"{mutation.name}: {mutation.old!r} stands {source.count(mutation.old)} times in {mutation.function}; "
        "point the mutation at where it is now"
    )
    flags = __future__.annotations.compiler_flag
    around = "".join(f"def around({name}):\n " for name in function.__code__.co_freevars)  # `super()` reads one
    source = around + textwrap.indent(source.replace(mutation.old, mutation.new), " " * len(around[:1])).lstrip()
    compiled = compile(source, module.__file__ or "", "exec", flags)
    return function, next(code for code in _inside(compiled) if code.co_name == function.__name__)


def _inside(code: CodeType) -> Iterator[CodeType]:
    """The code objects of functions that another one defines, outer ones first."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _inside(inner)


_SEARCH = "data_gen.search."
_LABELS = "data_gen.labelling."
_TRAINERS = "reasoning_train.trainers."
MUTATIONS = [
    # Searches
    Mutation("PUCT without its root", f"{_SEARCH}select:Puct.score", "math.sqrt(self.counted(parent))",
             "self.counted(parent)", ("search", "mcts")),
    Mutation("UCB over the wrong visits", f"{_SEARCH}select:Ucb.score", "/ n)", "/ max(1, self.counted(parent)))",
             ("search", "uct")),
    Mutation("a prior of whole log-probs", f"{_SEARCH}select:Puct._raw", '"mean_prob": 1.0', '"mean_prob": 0.0',
             ("search", "mcts")),
    Mutation("a backup that skips a node", f"{_SEARCH}backup:back_up", "above.visits += 1",
             "above.visits += above is not node", ("search", "mcts")),
    Mutation("a backup of rewards without what is ahead", f"{_SEARCH}backup:back_up_rewards", "gamma * ahead",
             "0 * ahead", ("search", "mcts_dpo")),
    Mutation("ReST-MCTS* with its mix the wrong way round", f"{_SEARCH}algorithms.rest_mcts:RestMcts._expand",
             "(1 - self.mix) * values[best] + self.mix * ahead", "self.mix * values[best] + (1 - self.mix) * ahead",
             ("search", "rest_mcts")),
    Mutation("outcomes that weigh nothing in MCTS", f"{_SEARCH}algorithms.mcts:Mcts.worth", "+ weight * reward", "",
             ("search", "mcts")),
    Mutation("a particle's weight turned over", f"{_SEARCH}potentials:Potential.factor",
             "self.of_path(after, scale) - self.of_path(before, scale)",
             "self.of_path(before, scale) - self.of_path(after, scale)", ("search", "particle")),
    Mutation("resampling that shifts by one", f"{_SEARCH}resample:systematic", "(i + shift)", "(i + 1 - shift)",
             ("part", "Resample")),
    Mutation("the worst child backed up", f"{_SEARCH}backup:_of_children", "max(child.q", "min(child.q",
             ("search", "mcts")),
    Mutation("the worst child backed up in UCT", f"{_SEARCH}backup:_of_children", "max(child.q", "min(child.q",
             ("search", "uct")),
    Mutation("a prior of equal draws", f"{_SEARCH}select:Puct._raw", "child.draws /", "1 /", ("search", "mcts")),
    Mutation("a penalty of another length", f"{_SEARCH}select:Puct._raw", '"length_penalised": self.length_power',
             '"length_penalised": 0.5', ("search", "mcts")),
    Mutation("values that count as no visits", f"{_SEARCH}select:_Selector.worth", "self.value_visits * child.value",
             "child.value", ("search", "mcts")),
    Mutation("a bisection that goes right where nothing ends right", f"{_SEARCH}algorithms.omega:Bisection.halve",
             "mc_correct > 0", "mc_correct > 1", ("search", "omega")),
    Mutation("the worst rollout searched first", f"{_SEARCH}algorithms.omega:Omega._choose", "max(pool", "min(pool",
             ("search", "omega")),
    Mutation("weights forgotten where nothing is resampled", f"{_SEARCH}swarm:Filter.weigh",
             "if self.resample.carry", "if False", ("search", "particle")),
    Mutation("an ancestor drawn without what follows", f"{_SEARCH}algorithms.particle_gibbs:ParticleGibbs._reborn",
             "w + self._follows(tree, node, ends[node])", "w", ("search", "particle_gibbs")),
    Mutation("a kept path that votes from the first sweep on",
             f"{_SEARCH}algorithms.particle_gibbs:ParticleGibbs.grow", "turn >= self.burn_in", "True",
             ("search", "particle_gibbs")),
    Mutation("a soft value that is the mean", f"{_SEARCH}algorithms.svdd:Svdd._gain", 'self.value == "soft"', "False",
             ("search", "svdd")),
    Mutation("rollouts of iid samples that are not counted", f"{_SEARCH}algorithms.iid:Iid.solutions", "node.total",
             "0.0", ("search", "iid")),
    # Labels
    Mutation("a Monte-Carlo label of wrong rollouts", f"{_LABELS}targets.mc:MonteCarlo._target", "correct / total",
             "1 - correct / total", ("target rule", "mc")),
    Mutation("a prefix ratio that counts a leaf twice", f"{_LABELS}targets.prefix_ratio:_trie", "before[1] + total",
             "before[1] + 2 * total", ("target rule", "prefix_ratio")),
    Mutation("progress that never falls", f"{_LABELS}targets.progress:Progress.known",
             "1 if view.reach[node.node].right else -1", "1", ("target rule", "progress")),
    Mutation("progress that counts steps from the parent", f"{_LABELS}targets.progress:Progress.known",
             "(ahead[node.node] + 1)", "max(1, ahead[node.parent])", ("target rule", "progress")),
    Mutation("a scored step that counts as unvisited", f"{_SEARCH}select:Ucb.score",
             "n = self.counted(child)", "n = child.visits", ("search", "uct")),
    Mutation("a first error that is the last", f"{_LABELS}pairs.first_error:FirstErrorPairs._first_error",
             "in view.tree.path(end)", "in reversed(view.tree.path(end))", ("pair rule", "first_error")),
    Mutation("the best sibling rejected", f"{_LABELS}pairs.base:PairRule.join",
             "better, worse = chosen_nodes or (chosen.node,), rejected_nodes or (rejected.node,)",
             "worse, better = chosen_nodes or (chosen.node,), rejected_nodes or (rejected.node,)",
             ("pair rule", "best_sibling")),
    # Tasks
    Mutation("a task that works its steps backwards", "data_gen.tasks.chain:Chain.draw", "{value} {sign} {by}",
             "{by} {sign} {value}", ("task", "chain")),
    Mutation("a grader that calls a wrong answer right", "data_gen.graders.integer:Integer.compare",
             "said == _read(gold)", "said <= (_read(gold) or 0)", ("task", "chain")),
    Mutation("a step checker that looks past the first step", "data_gen.tasks.generated:line_by_line",
             "step == gold[i]", "(step == gold[i] or i == 0)", ("task", "chain")),
    Mutation("a tolerance that nothing keeps", "data_gen.graders.numeric:Numeric._near", "<= max(absolute",
             "<= 0 * max(absolute", ("grader", "numeric")),
    Mutation("a list that may go on", "data_gen.graders.list:List.compare", "max(len(wanted), len(said))",
             "len(wanted)", ("grader", "list")),
    # Losses and what they are divided by
    Mutation("the sign of DPO", f"{_TRAINERS}losses.preference:Preference._margins", "scores[better] - scores[worse]",
             "scores[worse] - scores[better]", ("stage", "dpo")),
    Mutation("DPO without its reference", f"{_TRAINERS}losses.preference:over_reference",
             'out.trace_logprobs - out.batch["trace_reference"]', "out.trace_logprobs", ("stage", "dpo")),
    Mutation("IPO with twice its margin", f"{_TRAINERS}losses.ipo:IPO.of_margin", "1 / (2 * self.beta)",
             "1 / self.beta", ("loss", "ipo")),
    Mutation("the sign of the cross-entropy", f"{_TRAINERS}losses.cross_entropy:CrossEntropy.__call__",
             "return -(out.logprobs", "return (out.logprobs", ("stage", "sft")),
    Mutation("a cross-entropy per row", f"{_TRAINERS}losses.cross_entropy:CrossEntropy.normalizer",
             "predicted_weight(row)", "len(row.traces)", ("stage", "sft")),
    Mutation("a value regression before the activation", f"{_TRAINERS}losses.mse:MSE.at_places",
             "out.head.activate(out.raw)", "out.raw", ("loss", "mse")),
    Mutation("values that are all worth the same weight", f"{_TRAINERS}losses.regression:Regression.__call__",
             '* out.batch["value_weight"]', "", ("loss", "bce")),
    Mutation("a ranking turned over", f"{_TRAINERS}losses.ranking:Ranking._compared", "scores[better] - scores[worse]",
             "scores[worse] - scores[better]", ("loss", "ranking")),
    Mutation("a reference of one token too few", "reasoning_train.trainers.outputs:Outputs._by_trace", ", values)",
             ", values * (torch.arange(len(values)) > 0))", ("stage", "reference")),
    Mutation("a reward for wrong answers", f"{_TRAINERS}rl.rewards:Rewards._rewards",
             "s.verdict is Verdict.CORRECT", "s.verdict is Verdict.WRONG", ("stage", "grpo")),
    Mutation("a distillation that always keeps the rest", f"{_TRAINERS}losses.sparse_kl:SparseKL.__call__",
             "if self.residual", "if True", ("loss", "sparse_kl")),
    Mutation("a loss on what is masked", f"{_TRAINERS}data.solutions:_row", "0.0 if s.kind in masked else", "",
             ("stage", "sft")),
    Mutation("rows that all weigh the same", f"{_TRAINERS}data.solutions:_row", "s.weight * solution.weight",
             "s.weight", ("stage", "sft")),
    # What is measured and kept
    Mutation("pass@k without the draws", "reasoning_train.evaluation.metrics:pass_at_k", "comb(n - correct, k)",
             "comb(n - correct, 1)", ("stage", "evaluate")),
    Mutation("a plateau that forgets who was accepted", "reasoning_train.evaluation.resampling:within",
             "right / accepted * coverage", "right * coverage", ("stage", "evaluate_trees")),
    Mutation("free wrong answers", "reasoning_train.evaluation.resampling:Draws.worth",
             "price * self.wrong", "0 * self.wrong", ("stage", "evaluate_trees")),
    Mutation("a majority of the fewest", f"{_SEARCH}votes.arrays:leading", "sums = (voters",
             "sums = -(voters", ("vote", "majority")),
    Mutation("a tie that the first one wins", f"{_SEARCH}votes.arrays:leading", "present & near(",
             "(np.cumsum(near(sums, bar[:, None]), axis=1) == 1) & near(", ("vote", "majority")),
    Mutation("a weighted vote of numbers", f"{_SEARCH}votes.arrays:leading", "else voters * weights",
             "else voters", ("vote", "weighted")),
    Mutation("a selection of cut solutions", "reasoning_train.stages.select:_passes", 'solution.finish == "length"',
             'solution.finish == "lengths"', ("stage", "select")),
    Mutation("wrong solutions kept with the right ones", "reasoning_train.stages.select:_passes",
             "VERDICTS[config.keep]", 'VERDICTS["any" if config.keep == "wrong" else config.keep]',
             ("stage", "select")),
    Mutation("difficulties cut to the largest", "reasoning_train.stages.select:_balance", "[len(sizes) // 2]", "[-1]",
             ("stage", "select")),
    Mutation("the right answers picked for the wrong ones", "reasoning_train.stages.pick_problems:_tests",
             'config.outcome == "right"', "True", ("stage", "pick_problems")),
    Mutation("a stop that does not know what is lower", "reasoning_train.stages.round_stop:decide",
             "-value if lower else value", "value", ("stage", "round_stop")),
    Mutation("a contradiction by few seeds", "reasoning_train.evaluation.verdicts:verdict",
             "_share(mean < margin for mean in means) >= SIGN_SHARE", "True", ("stage", "claim")),
    Mutation("a claim that is better higher", "reasoning_train.evaluation.verdicts:_found",
             "estimate.turned if each.lower else estimate", "estimate", ("form of a claim", "difference")),
    Mutation("a tolerance of no cost", "reasoning_train.evaluation.verdicts:no_more", "(1 + tolerance)", "1",
             ("stage", "claim")),
    Mutation("strategies chosen in hindsight", "reasoning_train.evaluation.adaptive:cross_fitted",
             "bins, ~held)", "bins, held | ~held)", ("stage", "adaptive")),
    Mutation("a tie that goes to the dearer", "reasoning_train.evaluation.allocation:_best", "cost[good].min()",
             "cost[good].max()", ("stage", "adaptive")),
    Mutation("an estimate that nobody pays", "reasoning_train.stages.adaptive:_rows", "kind == ADAPTIVE else None",
             "kind == ORACLE else None", ("stage", "adaptive")),
    Mutation("an estimate that fits into any budget", "reasoning_train.evaluation.adaptive:_fit", "budget - fee",
             "budget", ("stage", "adaptive")),
    Mutation("dead samples that agree", "reasoning_train.evaluation.difficulty.agreement:Agreement.ease",
             "if number >= 0", "if number < 0", ("estimate of difficulty", "agreement")),
    Mutation("a policy that is shown half of its question", "data_gen.conventions:TaskFormat.asked", 'question)',
             "question[: len(question) // 2])", ("part", "TaskFormat")),
    Mutation("an answer read from the first mark", "data_gen.extractors.mark:AnswerMark.find", "text.rpartition",
             "text.partition", ("part", "TaskFormat")),
    # Programs
    Mutation("revisions that see the first attempts", "data_gen.programs.revise:Revise.attempts",
             "said[len(said) - self.keep if len(said) > self.keep else 0 :]", "said[: self.keep]",
             ("program", "revise")),
    Mutation("a round of feedback too many", "data_gen.programs.self_refine:SelfRefine.solve", "range(self.rounds)",
             "range(self.rounds + 1)", ("program", "self_refine")),
    Mutation("the nearest wrong attempt in front", "reasoning_train.stages.revision_chains:_attempts",
             "[*rng.sample(rest, size - 1), wrong[near]]", "[wrong[near], *rng.sample(rest, size - 1)]",
             ("stage", "revision_chains")),
]  # fmt: skip
"""At least one of every family; more are welcome where a mistake went unnoticed."""
