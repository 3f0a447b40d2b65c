"""Problem sources with their answer checkers. There is one file per kind; `TASKS` finds them by `uses`."""

from data_gen.registry import Registry
from data_gen.tasks.base import Task

TASKS: Registry[type[Task]] = Registry("task", package="data_gen.tasks", group="data_gen.tasks")
"""Name -> Task subclass. Register with `@TASKS.register("name")` in a file of this folder."""
