"""The artifact store: finished artifacts by key, the state of nodes, and publishing by one rename.

ROOT/artifacts/<uses>-<key[:16]>/            manifest.json  README.md  <output>/...
ROOT/artifacts/<uses>-<key[:16]>.partial/    progress of an unfinished one (see partial.py)
ROOT/quarantine/                             artifacts that were set aside: damaged ones, and those of `run --fresh`
ROOT/verified/                               digests of files that were read (see verified.py)
ROOT/places/                                 where weights that stay in place lie (see data_gen/models/elsewhere.py)
ROOT/trash/                                  what is being deleted
ROOT/locks/   ROOT/runs/   ROOT/cluster/
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_gen.errors import LoadError, UserError
from reasoning_train.api.plan import Plan, StageNode
from reasoning_train.process import lease
from reasoning_train.store.locks import guard
from reasoning_train.store.manifest import damages, has_damaged_manifest, read_manifest
from reasoning_train.store.verified import Digests, Look, verified_path

State = Literal["cached", "stale", "damaged", "partial", "absent"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished artifact, e.g. `Artifact(Path("store/artifacts/sample-9f3c..."), {...})`."""

    path: Path
    manifest: Mapping[str, Any]


class DamagedArtifact(LoadError):
    """The files of an artifact are not those that were published."""


class Store:
    """The store under `root`. The folder is created on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts = root / "artifacts"
        self.locks = root / "locks"
        self.runs = root / "runs"
        self.quarantine = root / "quarantine"

    def folder(self, node: StageNode) -> Path:
        """Path of the node's finished artifact."""
        return self.artifacts / artifact_name(node.uses, node.key)

    def partial(self, node: StageNode) -> Path:
        """Path of the node's progress."""
        return self.artifacts / f"{artifact_name(node.uses, node.key)}.partial"

    def find(self, node: StageNode) -> Artifact | None:
        """The node's finished artifact as published (perhaps a pointer), or None. Its files are not checked."""
        manifest = read_manifest(self.folder(node))
        return Artifact(self.folder(node), manifest) if manifest and manifest["key"] == node.key else None

    def open(self, node: StageNode) -> Artifact:
        """The node's artifact, with pass-throughs followed. UserError if it does not exist, or its files are not those
        that were published: every byte is compared, once for as long as the files stay as they are."""
        artifact = self.find(node)
        if artifact is None:
            raise UserError(
                f"Stage {node.name!r} has no finished artifact {self.folder(node)}; run the recipe to make it."
            )
        reached = self._follow(artifact)
        if reached is None:
            raise UserError(
                f"{artifact.path} passes on an artifact that is gone. Remove it (rm -r {artifact.path}) and rerun the "
                "recipe."
            )
        if wrong := self._wrong(reached, "once"):
            raise DamagedArtifact(
                f"The artifact of stage {node.name!r} is damaged: {wrong} ({reached.path}). Run the recipe again: it "
                "is set aside and made again."
            )
        return reached

    def _wrong(self, artifact: Artifact, look: Look) -> str:
        """The first thing that is wrong with an artifact's files; empty if nothing is."""
        with Digests(self.root, artifact.path, look) as digest_of:
            return next(damages(artifact.path, artifact.manifest, digest_of), "")

    def _follow(self, artifact: Artifact) -> Artifact | None:
        """The artifact that pass-throughs lead to; None if it is gone. They lead to earlier rounds, so there are no
        cycles."""
        while "pointer" in artifact.manifest:
            path = self.artifacts / artifact_name(**artifact.manifest["pointer"])
            manifest = read_manifest(path)
            if manifest is None:
                return None
            artifact = Artifact(path, manifest)
        return artifact

    def digest(self, node: StageNode) -> str | None:
        """One digest over all outputs of the node's artifact; None if there is none."""
        artifact = self.find(node)
        reached = self._follow(artifact) if artifact else None
        return content_digest(reached.manifest) if reached else None

    def state(self, node: StageNode, plan: Plan) -> State:
        """State of the node. `stale`: finished, but an input has since been made again with different bytes. `damaged`:
        by the sizes of its files, and by the bytes of those that someone has read."""
        artifact = self.find(node)
        if artifact is None:
            return "partial" if self.partial(node).is_dir() else "absent"
        if self._wrong(artifact, "remembered"):
            return "damaged"
        changed = next(self.changed_inputs(artifact, plan, node), None)
        return "stale" if changed or self._follow(artifact) is None else "cached"

    def changed_inputs(self, artifact: Artifact, plan: Plan, node: StageNode) -> Iterator[str]:
        """Names of the node's inputs whose content has changed since the artifact was made."""
        then = {entry["key"]: entry["digest"] for entry in artifact.manifest["inputs"].values()}
        for name in dependencies(node):
            now = self.digest(plan.nodes[name])
            if now is not None and then.get(plan.nodes[name].key, now) != now:
                yield name

    def publish(self, node: StageNode, made: Path) -> Artifact:
        """Rename the complete folder `made` (manifest included) into place. An earlier artifact there is removed; one
        whose manifest is damaged is set aside.

        Raises TakenOver if another process works on the node by now. The guard is that of its lock, so none can take
        over between the question and the rename.
        """
        open_to_group(made)
        _sync_tree(made)
        target, old = self.folder(node), None
        with guard(self.locks / target.name):
            lease.require()
            if has_damaged_manifest(target):
                self.quarantined(target)
            elif target.exists():
                old = self.trashed(target)
            os.rename(made, target)
        _sync_folder(self.artifacts)
        if old:
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(self.partial(node), ignore_errors=True)
        artifact = self.find(node)
        assert artifact is not None, "a published folder has its manifest"
        return artifact

    def set_aside(self, node: StageNode, look: Look = "once") -> str:
        """Move the node's artifact to the quarantine if it is damaged, so that the next run makes it again. Returns
        what was wrong and where it is now; empty if it is intact."""
        found = self.find(node)
        artifact = self._follow(found) if found else None
        wrong = self._wrong(artifact, look) if artifact else ""
        if artifact is None or not wrong:
            return ""
        with guard(self.locks / artifact.path.name):
            if json.dumps(read_manifest(artifact.path)) == json.dumps(artifact.manifest):  # as text, since NaN != NaN
                where = f"it was set aside in {self.quarantined(artifact.path)}"
            else:  # while its files were read here; what is in its place now may be intact
                where = "another process has set it aside"
        return f"the artifact of stage {node.name!r} is damaged: {wrong}; {where}"

    def renew(self, node: StageNode) -> Path | None:
        """Move the node's intact artifact to the quarantine and discard its progress, so that the next run makes it
        again. Returns its new path; None if there was none."""
        if self.partial(node).is_dir():
            self.discard(self.partial(node))
        return self.quarantined(self.folder(node)) if self.find(node) else None

    def quarantined(self, folder: Path) -> Path:
        """Move a folder to the quarantine; returns where it is now."""
        target = self.quarantine / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process has just done the same
            os.rename(folder, target)
        verified_path(self.root, folder.name).unlink(missing_ok=True)
        return target

    def discard(self, folder: Path) -> None:
        """Move a folder out of the store by one rename, then delete it, so that a partly deleted artifact is never
        visible."""
        self.delete(self.trashed(folder))

    def delete(self, trash: Path) -> None:
        """Delete what `trashed` has moved out of the store. Damage may have put anything into a folder's place."""
        with contextlib.suppress(FileNotFoundError):  # `gc` empties the trash as well
            if trash.is_dir() and not trash.is_symlink():
                shutil.rmtree(trash)
            else:
                trash.unlink()

    def trashed(self, folder: Path) -> Path:
        """Move a folder out of the store by one rename; returns where it waits for its deletion."""
        trash = self.root / "trash" / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        os.rename(folder, trash)
        verified_path(self.root, folder.name).unlink(missing_ok=True)
        return trash


def dependencies(node: StageNode) -> tuple[str, ...]:
    """Names of the nodes that must be finished before this one: its inputs and, in later rounds, the stop decision and
    the node of the previous round."""
    return tuple(dict.fromkeys([*node.inputs, *(name for name in (node.stop_gate, node.previous) if name)]))


def artifact_name(uses: str, key: str) -> str:
    """Folder name of an artifact: `sample-9f3c0a1b2c3d4e5f`."""
    return f"{uses}-{key[:16]}"


def content_digest(manifest: Mapping[str, Any]) -> str:
    """One digest over all outputs. Consumers record it for each input."""
    outputs = sorted((name, output["digest"]) for name, output in manifest["outputs"].items())
    return hashlib.sha256(json.dumps(outputs).encode()).hexdigest()


def open_to_group(folder: Path) -> None:
    """Give all that is in a folder the folder's own mode, which is what the umask or the parent's default leaves.

    Libraries make their files through temporary ones, which are readable by their owner alone.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    for path in folder.rglob("*"):
        wanted = mode if path.is_dir() else mode & 0o666
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) != wanted:
            with contextlib.suppress(PermissionError):  # a link to a file of another user's artifact
                path.chmod(wanted)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # only POSIX systems open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
