"""`load_plan` turns a recipe file and `--set` overrides into the checked stage graph."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reasoning_train.api.plan import Plan
from reasoning_train.recipe import limits
from reasoning_train.recipe.drafts import Draft, drafts_of
from reasoning_train.recipe.errors import Problems, RecipeError
from reasoning_train.recipe.files import LeafFiles
from reasoning_train.recipe.graph import Graph
from reasoning_train.recipe.grid_groups import spread_out
from reasoning_train.recipe.includes import load_document
from reasoning_train.recipe.order import ordered
from reasoning_train.recipe.resolver.scope import OUTSIDE
from reasoning_train.recipe.resolver.values import Resolver
from reasoning_train.recipe.rounds import unrolled
from reasoning_train.recipe.schema import NAME_PATTERN, NAME_RULE, Recipe
from reasoning_train.recipe.validate import show, validate
from reasoning_train.recipe.yaml_core import Document


def load_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan of a recipe. `overrides` are texts such as `stages.sample.n=4`, applied last.

    RecipeError lists every problem, one line `file:line: field: what` each. Nothing has run by then.
    """
    path = Path(path)
    document = load_document(path, overrides)
    problems = Problems(document.origins, str(path))
    recipe = validate(Recipe, document.value, "", problems)
    problems.raise_if_any()
    assert recipe is not None, "a recipe that does not fit has problems"
    try:
        return _plan(recipe, document, path, problems)
    except RecursionError:
        raise RecipeError(f"{path}: values or stages lead to each other too deeply; write it flatter.") from None


def recipe_json_schema() -> dict[str, Any]:
    """The JSON Schema of recipes, with all registered stages and tasks."""
    from reasoning_train.recipe.json_schema import recipe_json_schema as make

    return make()


def _plan(recipe: Recipe, document: Document, path: Path, problems: Problems) -> Plan:
    drafts = _drafts(recipe, problems)
    files = LeafFiles(path.parent, problems)
    resolvers = {seed: Resolver(recipe, document.value, drafts, seed, files, problems) for seed in _seeds(recipe)}
    first = next(iter(resolvers.values()))
    graph = Graph(resolvers, files, problems)
    for draft in ordered(drafts, first.config, problems):
        graph.add(draft)
    if not graph.nodes and not problems:
        problems.add("", "there is nothing to run: the recipe has no stages.")
    name = str(first.resolve(recipe.name, "name"))
    if not re.fullmatch(NAME_PATTERN, name):
        problems.add("name", f"expected {NAME_RULE}, got {show(name)}.")
    problems.raise_if_any()
    graph.trace(recipe.allow_test)
    problems.raise_if_any()
    return Plan(name=name, path=str(path), nodes=graph.nodes, resolved=document.value, origins=dict(document.origins))


def _drafts(recipe: Recipe, problems: Problems) -> dict[str, Draft]:
    """Every stage that the recipe writes, by name, with rounds unrolled and grids expanded."""
    if "model" in recipe.stages:
        problems.add("stages.model", "'model' is the base model of the recipe; give the stage another name.")
    every = "with all rounds, settings of grids and seeds; split the recipe"
    stages, values = limits.Count(limits.STAGES, f"stages {every}"), limits.Count(limits.WRITTEN, f"values {every}")
    seeds = len(_seeds(recipe))
    drafts: dict[str, Draft] = {}
    for draft in _unrolled(recipe, problems):
        place = functools.partial(problems.origin, draft.path)
        stages.add(seeds, place)
        values.add(seeds * limits.size(draft.written, limits.WRITTEN), place)
        drafts[draft.name] = draft
    return drafts


def _unrolled(recipe: Recipe, problems: Problems) -> Iterator[Draft]:
    for name, stage in recipe.stages.items():
        yield from drafts_of(name, f"stages.{name}", stage, problems, OUTSIDE)
    for name, rounds in recipe.rounds.items():
        yield from unrolled(name, rounds, problems)
    for name, grid in recipe.grids.items():
        yield from spread_out(name, grid, problems)


def _seeds(recipe: Recipe) -> list[int]:
    return recipe.seeds or [recipe.seed or 0]
