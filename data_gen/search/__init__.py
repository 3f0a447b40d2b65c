"""Tree search. There is one file per algorithm; data generation and evaluation both use them."""

from data_gen.search.base import SEARCHES, Search
from data_gen.search.expand import Expand
from data_gen.search.node import Node
from data_gen.search.reading import Limits
from data_gen.search.tree import SearchTree

__all__ = ["SEARCHES", "Expand", "Limits", "Node", "Search", "SearchTree"]
