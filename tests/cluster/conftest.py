"""A SLURM of two nodes for all tests of this folder, and a store with the parts that every test starts from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.site import RECIPE, Site, reasoning_train
from tests.cluster.slurm import Slurm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is run by `make test-cluster` alone."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The daemons, from the first test to the last."""
    with Slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the recipe run on this machine by one process a stage: what jobs must give as well."""
    store = tmp_path_factory.mktemp("local") / "store"
    reasoning_train("run", str(RECIPE), "--store", str(store), "--set", "stages.tuned.resources={}")
    return store


@pytest.fixture
def site(slurm: Slurm, tmp_path: Path) -> Iterator[Site]:
    """An empty store on the cluster; what a test leaves in the queue is cancelled."""
    slurm.revive()
    site = Site(tmp_path / "store", slurm)
    yield site
    site.clear()


@pytest.fixture
def sampled(site: Site, local: Path) -> Site:
    """A store that holds what comes before `tuned`."""
    return without(site, local, {"tuned", "eval"})


@pytest.fixture
def based(site: Site, local: Path) -> Site:
    """A store that holds what comes before `sample`."""
    return without(site, local, {"sample", "kept", "tuned", "eval"})


def without(site: Site, store: Path, nodes: set[str]) -> Site:
    """A copy of the store on the cluster, less some nodes' artifacts."""
    shutil.copytree(store, site.store, ignore=shutil.ignore_patterns("runs", "locks"))
    for manifest in (site.store / "artifacts").glob("*/manifest.json"):
        if json.loads(manifest.read_text(encoding="utf-8"))["node"] in nodes:
            shutil.rmtree(manifest.parent)
    return site
