"""Extractors find the final answer in a completion. There is one file per extractor; a Format names them in
`extract:`."""

from data_gen.extractors.base import Extractor
from data_gen.registry import Registry

EXTRACTORS: Registry[type[Extractor]] = Registry(
    "extractor", package="data_gen.extractors", group="data_gen.extractors"
)
"""Name -> Extractor subclass. Register with `@EXTRACTORS.register("name")` in a file of this folder. The Format imports
extractors, so a plug-in's file does not import `data_gen.format` at top level."""

__all__ = ["EXTRACTORS", "Extractor"]
