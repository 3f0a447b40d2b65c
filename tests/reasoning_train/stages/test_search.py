"""The stage `search` on a tiny random model: bad input, shards, corrupt and lost files, a dying server, every data
search end to end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import UserError
from data_gen.records.trees import Tree, read_trees
from data_gen.search import SEARCHES as SEARCH_NAMES
from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError
from reasoning_train.stages.search import SearchConfig, cost
from reasoning_train.store.append_log import read_logs
from reasoning_train.worker.run_node import run_node
from tests.data_gen.engines.openai.fake_server import Reply, Seen, serving
from tests.reasoning_train.bench import CHAIN, Bench, problem, rows_of
from tests.reasoning_train.stages.test_sft import train

MCTS = {"uses": "mcts", "simulations": 6, "expand": {"n": 3, "max_tokens": 12}, "max_length": 40, "max_depth": 4}
CONSTANT = {"uses": "constant"}
SHORT = [problem(f"p{k}", f"Ana has {k} coins. How many has Ana?", gold=str(k)) for k in (3, 4, 5)]
LONG = problem("long", "Ana has 12 coins. " * 40)


@pytest.fixture
def kitchen(bench: Bench, one_thread: None) -> Bench:
    """A fresh policy of 128 tokens of context, three questions that fit and one that does not."""
    bench.model()
    bench.problems("questions", [*SHORT, LONG])
    return bench


def search(bench: Bench, name: str, how: dict[str, Any], **config: Any) -> tuple[list[Tree], dict[str, Any]]:
    """The trees and the manifest."""
    given = {"policy": Ref("model"), "problems": Ref("questions"), "gold": True, **config}
    artifact = bench.make(name, "search", search=how, **given)
    return list(read_trees(rows_of(artifact))), artifact.manifest


def test_a_question_longer_than_the_context_is_counted_and_skipped(kitchen: Bench) -> None:
    trees, manifest = search(kitchen, "trees", MCTS, scorer=CONSTANT, trees=2)
    assert [(tree.problem_id, tree.sample) for tree in trees] == [(p.id, sample) for p in SHORT for sample in (0, 1)]
    assert manifest["counts"]["dropped.question_too_long"] == 2 and manifest["counts"]["out"] == 6
    assert all(tree.oracle and tree.search == "mcts" and tree.scale == "signed" for tree in trees)
    kitchen.problems("too_long", [LONG])
    with pytest.raises(
        GateError, match="search: no trees; too_long is empty or every question is longer than the context"
    ):
        search(kitchen, "none", MCTS, scorer=CONSTANT, problems=Ref("too_long"))


def test_a_policy_that_never_delimits_gives_cut_nodes(bench: Bench, one_thread: None) -> None:
    """No word of its vocabulary holds the delimiter: a step ends at its token limit, or with the solution."""
    task = {**CHAIN, "format": {"step_delimiter": "##"}}
    bench.model(task_format=task["format"])
    bench.problems("questions", SHORT, task)
    trees, _ = search(bench, "trees", MCTS, scorer=CONSTANT)
    ends = [node for tree in trees for node in tree.nodes if node.terminal]
    assert {node.terminal for node in ends} <= {"limit", "invalid", "answer"} and any(
        node.terminal == "limit" for node in ends
    )
    assert all(node.terminal and node.depth == 1 for tree in trees for node in tree.nodes[1:])
    assert all(tree.stopped == "exhausted" for tree in trees)
    assert all(len(node.token_ids) == 12 and node.outcome == 0.0 for node in ends if node.terminal == "limit")


@pytest.mark.parametrize("shards", [2, 3, 5])
def test_several_trees_a_problem_are_the_same_in_any_number_of_shards(kitchen: Bench, shards: int) -> None:
    """4 problems, 3 trees each, one question too long; a last run without shards finds everything recorded and merges
    it."""
    config = {
        "policy": Ref("model"),
        "problems": Ref("questions"),
        "gold": True,
        "search": MCTS,
        "scorer": CONSTANT,
        "trees": 3,
    }
    whole = rows_of(kitchen.make("whole", "search", **config))
    kitchen.add("parts", "search", **config)
    for k in reversed(range(shards)):
        assert (
            run_node(kitchen.plan, "parts", kitchen.store, report=lambda event: None, shard=(k, shards)) == "recorded"
        )
    logs = kitchen.store.partial(kitchen.nodes["parts"]).glob("log-*.jsonl")
    dealt = [set(re.findall(r'"(\w+)#[0-9]+"', log.read_text())) for log in logs]
    assert sum(map(len, dealt)) == len(set().union(*dealt)) == 4, "the trees of one problem are one shard's"
    parts = kitchen.run("parts")
    assert rows_of(parts) == whole
    assert (
        parts.manifest["log"] == {"records": 12, "duplicates": 0, "corrupt": []}
        and parts.manifest["counts"]["out"] == 9
    )
    assert parts.manifest["attempts"] == shards and parts.manifest["counts"]["dropped.question_too_long"] == 3
    assert {(row["problem_id"], row["sample"]) for row in whole} == {
        (p.id, sample) for p in SHORT for sample in range(3)
    }


def test_datasets_loads_trees(kitchen: Bench, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    config = {
        "policy": Ref("model"),
        "problems": Ref("questions"),
        "gold": True,
        "search": MCTS,
        "scorer": CONSTANT,
        "trees": 2,
    }
    artifact = kitchen.make("trees", "search", **config)
    loaded = datasets.load_dataset(str(artifact.path), cache_dir=str(tmp_path / "cache"), split="train")
    assert list(loaded) == rows_of(artifact)
    assert list(read_trees(loaded)) == list(read_trees(rows_of(artifact)))
    columns = "token_ids text logprob prior visits total value scale scorer outcome mc_correct mc_total source"
    assert set(columns.split()) <= set(loaded.column_names)


def test_a_corrupt_shard_is_named_quarantined_and_made_again(
    kitchen: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the log is all there is, and in the published Parquet shard, which the next stage finds."""
    config = {
        "policy": Ref("model"),
        "problems": Ref("questions"),
        "gold": True,
        "search": MCTS,
        "scorer": CONSTANT,
        "trees": 2,
    }
    whole = rows_of(kitchen.make("whole", "search", **config))
    kitchen.add("parts", "search", **config)
    for k in range(2):
        run_node(kitchen.plan, "parts", kitchen.store, report=lambda event: None, shard=(k, 2))
    folder = kitchen.store.partial(kitchen.nodes["parts"])
    lines = (folder / "log-1-of-2.jsonl").read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if b'"depth":1' in line)
    lines[at] = lines[at].replace(b'"depth":1', b'"depth":7', 1)
    (folder / "log-1-of-2.jsonl").write_bytes(b"".join(lines))
    artifact = kitchen.run("parts")
    assert (
        f"corrupt record at log-1-of-2.jsonl:{at + 1} set aside in quarantine.txt; its problem is made again"
        in capsys.readouterr().out
    )
    assert rows_of(artifact) == whole and artifact.manifest["log"]["corrupt"] == [f"log-1-of-2.jsonl:{at + 1}"]

    [part] = (artifact.path / "trees").glob("*.parquet")
    sound = part.read_bytes()
    part.write_bytes(sound[:200] + bytes(byte ^ 255 for byte in sound[200:220]) + sound[220:])
    kitchen.add("paths", "sft_paths", trees=Ref("parts"), policy=Ref("model"), paths={"correct": None, "wrong": 1})
    with pytest.raises(
        UserError,
        match=r"part-00000.parquet has other bytes than .* it was set aside in .*quarantine.* it is made again",
    ):
        kitchen.run("paths")
    assert rows_of(kitchen.run("parts")) == whole and part.read_bytes() == sound


def test_problems_that_share_an_id_are_refused_before_a_tree_is_lost(kitchen: Bench) -> None:
    kitchen.problems("twins", [SHORT[0], SHORT[1], SHORT[0]])
    with pytest.raises(
        UserError, match="Two items of stage 'search' have the key 'p3#0', at 0 and 2; keys must be unique"
    ):
        search(kitchen, "trees", MCTS, scorer=CONSTANT, problems=Ref("twins"))


def test_a_server_that_dies_leaves_the_finished_trees_and_the_next_run_grows_the_rest(kitchen: Bench) -> None:
    """One request at a time, each repeated once; from the fourth on there are only errors. What is saved is not asked
    for again."""

    def answers(k: int, seen: Seen) -> Reply:
        choices = [
            {"index": i, "text": f"Answer: {3 + i}", "finish_reason": "stop", "stop_reason": None}
            for i in range(seen.body["n"])
        ]
        return Reply(body={"choices": choices})

    def tires(k: int, seen: Seen) -> Reply:
        return (
            answers(k, seen) if k not in (1, 3) and k < 6 else Reply(status=503, body={"error": "the engine is dead"})
        )

    def config(server: Any, attempts: int) -> dict[str, Any]:
        engine = {"uses": "openai", "base_url": server.url, "model": "m", "concurrency": 1, "attempts": attempts}
        how = {**MCTS, "simulations": 2, "select": {"uses": "puct", "prior": "draws"}}
        return {
            "policy": Ref("model"),
            "problems": Ref("questions"),
            "gold": True,
            "search": how,
            "scorer": CONSTANT,
            "engine": engine,
        }

    with serving(answers) as server:
        whole = rows_of(kitchen.make("whole", "search", **config(server, 1), trees=4))
    kitchen.add("trees", "search", **config(server, 1), trees=4)
    with serving(tires) as server:
        kitchen.nodes["trees"].config["engine"] = config(server, 2)["engine"]
        with pytest.raises(
            UserError, match=r"(?s)last time: status 503: the engine is dead.*run the same command to go on"
        ):
            kitchen.run("trees")
    saved = read_logs(kitchen.store.partial(kitchen.nodes["trees"]))
    assert 1 <= len(saved) < 12
    with serving(answers) as server:
        kitchen.nodes["trees"].config["engine"] = config(server, 1)["engine"]
        artifact = kitchen.run("trees")
        assert len(server.seen) == 12 - len(saved)
    assert rows_of(artifact) == whole and artifact.manifest["attempts"] == 2


SEARCHES: dict[str, dict[str, Any]] = {
    "mcts": {"simulations": 6, "wave": 2},
    "uct": {"rollouts": 4},
    "mcts_dpo": {"iterations": 2},
    "rest_mcts": {"iterations": 4, "scale": "p"},
    "best_first": {"expansions": 4},
    "iid": {"n": 6},
    "step_rollouts": {"n": 2, "m": 2},
    "omega": {"k": 3, "searches": 2},
}
WHOLE = ("iid", "step_rollouts", "omega")


@pytest.mark.parametrize("name", SEARCHES)
def test_every_data_search_runs_and_its_trees_add_up(kitchen: Bench, name: str) -> None:
    steps = {} if name in WHOLE else {"expand": {"n": 3, "max_tokens": 12}, "max_depth": 4}
    scorer = {"scorer": {"uses": "rollouts", "m": 2, "max_length": 40}} if name not in WHOLE else {}
    trees, manifest = search(kitchen, "trees", {"uses": name, "max_length": 40, **SEARCHES[name], **steps}, **scorer)
    assert len(trees) == 3 and {tree.search for tree in trees} == {name}
    assert sum(tree.generated_tokens for tree in trees) == manifest["counts"]["tokens.generated"]
    for tree in trees:
        assert tree.generated_tokens == sum(node.draws * len(node.token_ids) for node in tree.nodes[1:])
        assert all(node.outcome is not None for node in tree.nodes if node.terminal)
        assert len(tree.nodes) > 1 and tree.stopped in ("budget", "decided", "exhausted", "answered")
    again, _ = search(kitchen, "again", {"uses": name, "max_length": 40, **SEARCHES[name], **steps}, **scorer)
    assert again == trees


def test_problems_that_a_probe_decides_are_told(kitchen: Bench) -> None:
    """A random policy answers nothing right, so every probe is unanimous."""
    trees, manifest = search(kitchen, "trees", {**MCTS, "probe": 4}, scorer=CONSTANT)
    assert all(tree.stopped == "decided" and len(tree.nodes) == 5 for tree in trees)
    assert manifest["metrics"]["trees"]["decided"] == 1.0 and manifest["metrics"]["trees"]["stopped"] == {"decided": 3}


def test_a_tree_without_a_right_answer_stops_at_the_gate(kitchen: Bench) -> None:
    with pytest.raises(
        GateError, match=re.escape("0.0000 of the trees hold a right answer, fewer than min_solved=0.5")
    ):
        search(kitchen, "trees", MCTS, scorer=CONSTANT, min_solved=0.5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"search": {"uses": "mcts"}, "gold": True}, "scorer: search 'mcts' needs a scorer"),
        ({"search": {"uses": "mcts"}, "scorer": CONSTANT}, "gold: 'mcts' needs outcomes"),
        (
            {"search": {"uses": "mcts", "probe": 4, "outcome_weight": 0}, "scorer": CONSTANT},
            "gold: 'mcts' needs outcomes",
        ),
        ({"search": {"uses": "uct", "outcomes": False}}, "scorer: search 'uct' needs a scorer"),
        ({"search": {"uses": "omega"}}, "gold: 'omega' needs outcomes"),
    ],
)
def test_what_a_search_lacks_is_told_before_it_runs(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchConfig(policy=Ref("m"), problems=Ref("p"), **config)


def test_estimates_count_whole_solutions_as_such() -> None:
    def tokens(scorer: dict[str, Any] = CONSTANT, **how: Any) -> int:
        config = SearchConfig(policy=Ref("m"), problems=Ref("p"), scorer=scorer, gold=True, search=how)  # type: ignore[arg-type]
        return int(cost(config, lambda ref: {"rows": 10})["tokens"])

    assert tokens(uses="iid", n=16, max_length=100) == 10 * 16 * 100
    assert tokens(uses="mcts", simulations=5, expand={"n": 4, "max_tokens": 30}) == 10 * 5 * 4 * 30
    assert tokens(uses="mcts", simulations=5, probe=2, max_length=100, expand={"n": 4, "max_tokens": 30}) == 10 * (
        5 * 4 * 30 + 2 * 100
    )
    rolled = tokens(
        {"uses": "rollouts", "m": 3, "max_length": 100}, uses="mcts", simulations=5, expand={"n": 4, "max_tokens": 30}
    )
    assert rolled == 10 * (5 * 4 * 30 + (5 * 4 + 1) * 3 * 100)  # the root is scored as well


ANSWERING: dict[str, dict[str, Any]] = {
    "best_of_n": {"n": 6},
    "beam": {"beams": 2, "lookahead": 1, "expand": {"n": 3, "max_tokens": 12}},
    "dvts": {"subtrees": 2, "expand": {"n": 3, "max_tokens": 12}},
    "rebase": {"n": 6},
    "particle": {"n": 6, "potential": {"kind": "max", "reward": "log_p"}, "resample": {"ess": 0.5}},
    "particle_gibbs": {"n": 6, "iterations": 2, "ancestors": True, "potential": {"kind": "difference"}},
    "svdd": {"n": 2, "resample": True, "expand": {"n": 3, "max_tokens": 12}},
    "mcts": {**MCTS, "outcome_weight": 0.0, "scale": "p"},
    "uct": {"rollouts": 6, "outcomes": False, "scale": "p", "expand": {"n": 3, "max_tokens": 12}},
    "mcts_dpo": {"iterations": 3, "outcome_weight": 0.0, "expand": {"n": 3, "max_tokens": 12}},
    "rest_mcts": {"iterations": 6, "scale": "p", "expand": {"n": 3, "max_tokens": 12}},
    "best_first": {"expansions": 6, "expand": {"n": 3, "max_tokens": 12}},
    "iid": {"n": 6},
}
LABELLING = {"omega", "step_rollouts", "first_error"}
"""They look at outcomes, so they serve data alone."""


def test_every_search_is_told_apart_by_what_it_serves() -> None:
    assert set(ANSWERING) | LABELLING == set(SEARCH_NAMES.names()) == set(SEARCHES) | set(ANSWERING) | {"first_error"}


def test_every_search_that_answers_runs_without_gold(bench: Bench, one_thread: None) -> None:
    """A policy that has learned the problems and a random verifier: one vote in all where a path has an answer, tokens
    that add up, right answers that only the record knows of."""
    bench.model()
    bench.gold(task={**CHAIN, "train": 4, "steps": [1, 1]})
    train(bench, learning_rate=0.02, max_steps=80, schedule="constant")
    config: dict[str, Any] = {
        "policy": Ref("tuned"),
        "problems": Ref("gold.problems"),
        "scorer": {"uses": "head"},
        "gold": False,
    }
    config["verifier"] = bench.verifier()
    for name, how in ANSWERING.items():
        trees, manifest = search(bench, name, {"uses": name, "max_length": 40, "max_depth": 6, **how}, **config)
        assert sum(tree.generated_tokens for tree in trees) == manifest["counts"]["tokens.generated"], name
        voted = [sum(node.weight for node in tree.nodes) for tree in trees]
        assert len(trees) == 4 and voted == pytest.approx([1.0] * 4), name
        assert not any(tree.oracle for tree in trees) and manifest["metrics"]["trees"]["solved"] == 1.0, name
