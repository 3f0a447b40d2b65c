"""A store that is walked for what belongs to one machine, and then moved: everything goes on."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from data_gen.errors import UserError
from reasoning_train.api.digest import path_digest
from reasoning_train.api.refs import Ref
from reasoning_train.store.store import Store
from tests.reasoning_train.bench import Bench, rows_of

TRAINING = {"learning_rate": 1e-3, "max_steps": 1}
JSONL = {"uses": "jsonl", "fields": {"question": "q", "answer": "a"}, "split": {"train": 4}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A policy of the store with two kept adapters, one on the other; a policy whose weights are a folder outside, and
    an adapter on it; problems of a file. All by a umask that lets the group write."""
    before = os.umask(0o007)
    try:
        home = tmp_path_factory.mktemp("home_of_the_user")
        bench = Bench(home / "store")
        bench.model()
        shutil.copytree(bench.store.open(bench.nodes["model"]).path / "model", home / "weights")
        (home / "weights" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
        bench.add("theirs", "model", path=str(home / "weights"))
        with_file(bench, "theirs", home / "weights")
        (home / "rows.jsonl").write_text("".join(json.dumps({"q": f"{i} + 1?", "a": i + 1}) + "\n" for i in range(4)))
        bench.add("rows", "problems", task={**JSONL, "path": str(home / "rows.jsonl")}, split="train")
        with_file(bench, "rows", home / "rows.jsonl")
        for name in ("theirs", "rows"):
            bench.run(name)
        bench.gold()
        for name, policy in (("kept", "model"), ("above", "kept"), ("on_theirs", "theirs")):
            keep(bench, name, policy)
        return bench
    finally:
        os.umask(before)


def with_file(bench: Bench, name: str, path: Path) -> None:
    """As the loader enters a file."""
    bench.nodes[name].files[str(path)] = path_digest(path)


def keep(bench: Bench, name: str, policy: str) -> None:
    bench.make(name, "sft", policy=Ref(policy), data=Ref("gold"), lora={"r": 2}, adapter="keep", **TRAINING)


def files(store: Store) -> Iterator[Path]:
    return (path for path in store.artifacts.rglob("*") if path.is_file())


def test_an_artifact_has_nothing_of_its_machine(made: Bench) -> None:
    """Neither paths, nor the names of the host and of who made it."""
    home = made.store.root.parent
    words = {str(home), home.name, str(Path.cwd()), str(Path.home()) + "/", f'"{socket.gethostname()}"'}
    words |= {f'"{getpass.getuser()}"', f"/{getpass.getuser()}/"}
    found = {
        f"{path.relative_to(made.store.root)}: {word}"
        for path in files(made.store)
        for word in words
        if word.encode() in path.read_bytes()
    }
    assert not found


def test_no_text_of_an_artifact_is_an_absolute_path(made: Bench) -> None:
    """In JSON, YAML and Markdown; a path is one that exists."""
    quoted = re.compile(r"(?<![\w.:/<])/(?:[\w.-]+/)+[\w.-]+")
    texts = [path for path in files(made.store) if path.suffix in (".json", ".jsonl", ".md", ".jinja")]
    assert len(texts) > 30
    assert not [(path.name, one) for path in texts for one in quoted.findall(path.read_text()) if Path(one).exists()]


def test_an_artifact_is_open_to_the_group(made: Bench) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files(made.store)}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in made.store.artifacts.rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o660}, {0o770})


def moved(made: Bench, to: Path) -> Bench:
    """The same plan over a copy of the store; what it was copied from is hidden meanwhile."""
    shutil.copytree(made.store.root, to)
    bench = Bench(to)
    bench.nodes = dict(made.nodes)
    return bench


@pytest.mark.parametrize("policy", ["kept", "above", "on_theirs", "theirs"])
def test_a_moved_store_is_trained_on_and_sampled_from(policy: str, made: Bench, tmp_path: Path) -> None:
    bench = moved(made, tmp_path / "moved")
    hidden = made.store.root.rename(made.store.root.with_name("hidden"))
    try:
        assert {bench.store.state(node, bench.plan) for node in bench.nodes.values()} == {"cached"}
        again = {"policy": Ref(policy), "problems": Ref("gold.problems"), "limit": 2, "max_tokens": 4, "min_solved": 0}
        assert rows_of(bench.make("sample", "sample", n=1, **again))
        bench.make("next", "sft", policy=Ref(policy), data=Ref("gold"), **TRAINING)
    finally:
        hidden.rename(made.store.root)


def test_artifacts_alone_are_a_store(made: Bench, tmp_path: Path) -> None:
    """What else a store holds belongs to its machine and is made again: places, digests, locks, runs."""
    assert {path.name for path in made.store.root.iterdir()} == {"artifacts", "locks", "places", "verified"}
    shutil.copytree(made.store.artifacts, tmp_path / "given" / "artifacts")
    bench = Bench(tmp_path / "given")
    bench.nodes = dict(made.nodes)
    assert {bench.store.state(node, bench.plan) for node in bench.nodes.values()} == {"cached"}
    again = {"policy": Ref("on_theirs"), "problems": Ref("gold.problems"), "limit": 2, "max_tokens": 4, "min_solved": 0}
    assert rows_of(bench.make("sample", "sample", n=1, **again))


def test_weights_outside_that_were_moved_are_found_where_the_recipe_names_them(made: Bench, tmp_path: Path) -> None:
    bench, home = moved(made, tmp_path / "moved"), made.store.root.parent
    there = shutil.move(home / "weights", tmp_path / "there")
    try:
        sample = {"policy": Ref("on_theirs"), "problems": Ref("gold.problems"), "max_tokens": 4, "min_solved": 0}
        with pytest.raises(UserError, match=r"'weights' with sha256 \w{12}, which is not there .*Name the folder in"):
            bench.make("early", "sample", n=1, limit=2, **sample)
        bench.nodes["theirs"].files.clear()
        with_file(bench, "theirs", Path(there))  # of the same key, as the bytes are the same
        assert rows_of(bench.make("sample", "sample", n=1, limit=1, **sample))
    finally:
        shutil.move(there, home / "weights")
        made.nodes["theirs"].files.clear()
        with_file(made, "theirs", home / "weights")


def test_adapters_on_adapters_hold_both(made: Bench) -> None:
    """The base of the upper one is the lower one, not what lies under that."""
    import torch

    ids = torch.tensor([[3, 9, 14, 8]])
    with torch.no_grad():
        values = {name: made.policy(name).model(input_ids=ids).logits for name in ("model", "kept", "above")}
    assert not torch.equal(values["kept"], values["model"])
    config = made.store.open(made.nodes["above"]).path / "model" / "adapter_config.json"
    lower = made.store.open(made.nodes["kept"]).path
    assert json.loads(config.read_text())["base_model_name_or_path"] == f"{lower.name}/model"
    assert not torch.equal(values["above"], values["kept"])


def test_problems_travel_with_the_names_of_their_files(made: Bench) -> None:
    artifact = made.store.open(made.nodes["rows"])
    told = json.loads((artifact.path / "data" / "tasks.json").read_text())[""]
    assert told["path"] == "rows.jsonl" and "measures" not in told
    digest = path_digest(made.store.root.parent / "rows.jsonl")
    assert artifact.manifest["files"] == {f"rows.jsonl (sha256 {digest[:12]})": digest}
    assert artifact.manifest["config"]["task"]["path"] == f"rows.jsonl (sha256 {digest[:12]})"


RUN_CARDS = """
import os, re, sys
for card in sys.argv[1:]:
    [code] = re.findall(r"```python\\n(.*?)```", open(card).read(), flags=re.DOTALL)
    os.chdir(os.path.dirname(card))
    exec(code, {})
    print("ran", card)
"""


def test_the_snippets_of_cards_run(made: Bench, tmp_path: Path) -> None:
    """In their folders, in a process that has no network: rows, a whole model, adapters, weights elsewhere."""
    folders = {name: made.store.open(made.nodes[name]).path for name in ("gold", "model", "above", "theirs")}
    opens = {
        folders["gold"] / "README.md": "load_dataset(",
        folders["model"] / "model" / "README.md": "AutoModelForCausalLM.from_pretrained(",
        folders["above"] / "model" / "README.md": "load_policy(",
        folders["theirs"] / "README.md": "load_policy(",
    }
    assert all(what in card.read_text() for card, what in opens.items())
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", RUN_CARDS, *opens], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("ran ")] == [f"ran {card}" for card in opens]


def test_cards_name_licences_bases_and_columns(made: Bench) -> None:
    cards = {name: (made.store.open(made.nodes[name]).path / "README.md").read_text() for name in made.nodes}
    front = {name: yaml.safe_load(card.split("---\n")[1]) for name, card in cards.items()}
    assert {name: one["license"] for name, one in front.items()} == {
        "model": "unknown",
        "theirs": "apache-2.0",
        "rows": "unknown",
        "gold.problems": "unknown",
        "gold": "unknown",
        "kept": "unknown",
        "above": "unknown",
        "on_theirs": "apache-2.0",
    }
    assert "- model `weights`: apache-2.0\n" in cards["on_theirs"]
    assert "Made from no model or data of others.\n" in cards["kept"]
    assert "- data `rows.jsonl`: its card names no licence\n" in cards["rows"]
    assert "| `problem_id` | `string` |" in cards["gold"] and "## Columns of `data`" in cards["gold"]
    assert "model card" not in (made.store.open(made.nodes["kept"]).path / "model" / "README.md").read_text().lower()
