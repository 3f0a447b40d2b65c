"""The bytes of an artifact are compared when it is opened: once, until a file changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_gen.errors import LoadError, UserError
from reasoning_train.api.refs import Ref
from reasoning_train.store import verified
from reasoning_train.store.manifest import FILE_NAME
from reasoning_train.store.store import Artifact, DamagedArtifact, Store
from reasoning_train.store.verified import Look, verified_path
from reasoning_train.worker.run_node import run_node
from tests.launch import plugin_stages
from tests.launch.hand_plan import make_plan

PLAN = make_plan({"a": ("t_numbers", {"n": 6}), "b": ("t_square", {"data": Ref("a"), "note": "hello"})})


def silent(event: dict[str, Any]) -> None:
    """A report that nobody reads."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    run_node(PLAN, "a", store, report=silent)
    return store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read for a digest."""
    names: list[str] = []
    real = verified.file_digest

    def noted(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(verified, "file_digest", noted)
    return names


def part_of(store: Store) -> Path:
    return store.folder(PLAN.nodes["a"]) / "data" / "part-00000.parquet"


def flip(path: Path) -> None:
    """Change one bit, and leave size and time of modification as they were."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_every_byte_is_read_at_the_first_opening_and_by_no_other_process_later(store: Store, read: list[str]) -> None:
    for _ in range(3):
        Store(store.root).open(PLAN.nodes["a"])
    assert read == ["part-00000.parquet"]


def test_a_copy_of_a_store_is_read_once(store: Store, tmp_path: Path, read: list[str]) -> None:
    store.open(PLAN.nodes["a"])
    copy = Store(shutil.copytree(store.root, tmp_path / "copy"))
    for _ in range(2):
        copy.open(PLAN.nodes["a"])
    assert len(read) == 2


@pytest.mark.parametrize("opened", [False, True], ids=["never opened", "opened before"])
def test_a_flipped_bit_is_found_by_whoever_opens_the_artifact_and_then_by_all(store: Store, opened: bool) -> None:
    if opened:
        store.open(PLAN.nodes["a"])
    flip(part_of(store))
    assert store.state(PLAN.nodes["a"], PLAN) == "cached"  # nobody has read it yet
    with pytest.raises(DamagedArtifact, match="part-00000.parquet has other bytes than when it was made"):
        store.open(PLAN.nodes["a"])
    assert store.state(PLAN.nodes["a"], PLAN) == "damaged"


def test_a_worker_does_not_use_flipped_bytes_and_sets_them_aside(store: Store) -> None:
    whole = part_of(store).read_bytes()
    flip(part_of(store))
    with pytest.raises(UserError, match=r"^the artifact of stage 'a' is damaged: .* it was set aside in .*quarantine"):
        run_node(PLAN, "b", store, report=silent)
    assert run_node(PLAN, "a", store, report=silent) == "ran"
    assert part_of(store).read_bytes() == whole
    assert run_node(PLAN, "b", store, report=silent) == "ran"


def test_after_a_failed_load_what_the_disk_holds_is_read_again(
    store: Store, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(config: Any, ctx: Any) -> None:
        ctx.input(config.data)
        raise LoadError("the weights cannot be loaded")

    monkeypatch.setattr(plugin_stages.square, "run", fails)
    with pytest.raises(LoadError, match="^the weights cannot be loaded$"):
        run_node(PLAN, "b", store, report=silent)
    assert read == ["part-00000.parquet"] * 2


def test_what_another_process_made_again_meanwhile_is_not_set_aside(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = PLAN.nodes["a"]
    flip(part_of(store))
    real = Store._wrong

    def read_slowly(self: Store, artifact: Artifact, look: Look) -> str:
        wrong = real(self, artifact, look)
        monkeypatch.undo()
        assert "it was set aside in" in Store(store.root).set_aside(node)
        run_node(PLAN, "a", Store(store.root), report=silent)
        return wrong

    monkeypatch.setattr(Store, "_wrong", read_slowly)
    assert store.set_aside(node).endswith("made; another process has set it aside")
    assert store.open(node).path == store.folder(node)
    assert len(list(store.quarantine.iterdir())) == 1


def test_what_is_remembered_goes_with_the_artifact(store: Store) -> None:
    node = PLAN.nodes["a"]
    store.open(node)
    path = verified_path(store.root, store.folder(node).name)
    assert path.is_file()
    store.discard(store.folder(node))
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"data/part-00000.parquet": 1}', "{"])
def test_damaged_memory_counts_as_none(store: Store, content: str, read: list[str]) -> None:
    store.open(PLAN.nodes["a"])
    verified_path(store.root, store.folder(PLAN.nodes["a"]).name).write_text(content)
    store.open(PLAN.nodes["a"])
    assert len(read) == 2


def test_an_artifact_with_a_damaged_manifest_is_made_again_and_the_old_one_kept(store: Store) -> None:
    folder = store.folder(PLAN.nodes["a"])
    (folder / FILE_NAME).write_text('{"schema_version": 2, "key": "x"}')
    assert store.state(PLAN.nodes["a"], PLAN) == "absent"
    assert run_node(PLAN, "a", store, report=silent) == "ran"
    [kept] = store.quarantine.iterdir()
    assert (kept / "data" / "part-00000.parquet").read_bytes() == part_of(store).read_bytes()


def test_progress_whose_inputs_cannot_be_told_is_set_aside(store: Store) -> None:
    plan = make_plan({"a": ("t_numbers", {"n": 9})})
    run_node(plan, "a", store, report=silent, shard=(0, 2))
    (store.partial(plan.nodes["a"]) / "inputs.json").write_text('{"a": ')
    assert run_node(plan, "a", store, report=silent) == "ran"
    [kept] = store.quarantine.glob("t_numbers-*.partial-*")
    assert (kept / "log-0-of-2.jsonl").is_file()
