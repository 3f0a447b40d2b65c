"""Graders decide whether an answer is right. There is one file per grader; a task names one in `grader:`."""

from data_gen.graders.base import Grader
from data_gen.registry import Registry

GRADERS: Registry[type[Grader]] = Registry("grader", package="data_gen.graders", group="data_gen.graders")
"""Name -> Grader subclass. Register with `@GRADERS.register("name")` in a file of this folder."""

__all__ = ["GRADERS", "Grader"]
