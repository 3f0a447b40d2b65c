"""`schema`: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import argparse

from launch.arguments import Subparsers, command, print_json

MORE = """\
  reasoning-train schema > recipe.schema.json
  # first line of a recipe, for editors with the YAML language server:
  # yaml-language-server: $schema=recipe.schema.json
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    command(subparsers, "schema", run, "print the JSON Schema of recipes", MORE)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from reasoning_train.process.plugins import import_plugins
    from reasoning_train.recipe.load import recipe_json_schema

    import_plugins()
    print_json(recipe_json_schema())
    return 0
