"""Imports the modules that a user names, so that their stages and tasks register themselves.

`REASONING_TRAIN_PLUGINS=my_stages,my_tasks` is for code that is not installed; an installed package uses entry points.
"""

from __future__ import annotations

import importlib
import os
import sys

from data_gen.errors import UserError

VARIABLE = "REASONING_TRAIN_PLUGINS"


def import_plugins() -> None:
    """Import every module that the variable names. The current folder is searched too. UserError if one is not
    found."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(",")):
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{VARIABLE} names {name!r}, but there is no module {error.name!r} in this folder or installed."
            ) from error
