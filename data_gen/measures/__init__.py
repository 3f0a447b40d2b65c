"""Measures: numbers about a solution besides its verdict. There is one file per measure; a task names them in
`measures:`."""

from data_gen.measures.base import Direction, Measure
from data_gen.registry import Registry

MEASURES: Registry[type[Measure]] = Registry("measure", package="data_gen.measures", group="data_gen.measures")
"""Name -> Measure subclass. Register with `@MEASURES.register("name")` in a file of this folder."""

__all__ = ["MEASURES", "Direction", "Measure"]
