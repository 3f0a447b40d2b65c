"""Completions that a limit cut. They have no answer, so a table of many measures the limit, not the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from data_gen.records.trees import Tree

MOST_CUT = 0.02
"""Share of cut completions above which a warning is given."""


def cut_warning(shares: Mapping[str, float], raise_what: str = "max_tokens") -> str:
    """A warning that names every share above `MOST_CUT`, the greatest first. Empty if there is none.

    >>> cut_warning({"base": 0.25, "tuned": 0.01})
    'a limit cut 25.0 % of base: raise max_tokens'
    """
    high = sorted(((share, name) for name, share in shares.items() if share > MOST_CUT), reverse=True)
    named = ", ".join(f"{100 * share:.1f} % of {name}" for share, name in high)
    return f"a limit cut {named}: raise {raise_what}" if named else ""


@dataclass(slots=True)
class CutCount:
    """Counts completions and those that were cut: `CutCount(ends=8, cut=1).share` is 0.125."""

    ends: int = 0
    cut: int = 0

    @property
    def share(self) -> float:
        """Share that was cut; 0 of none."""
        return self.cut / self.ends if self.ends else 0.0

    def add(self, cut: Iterable[bool]) -> None:
        """Count completions, of which it is known whether they were cut."""
        for one in cut:
            self.ends += 1
            self.cut += one

    def counting(self, trees: Iterable[Tree]) -> Iterator[Tree]:
        """The trees unchanged; their drawn ends are counted."""
        for tree in trees:
            for node in tree.nodes:
                if node.terminal:
                    self.ends += node.draws
                    self.cut += node.draws * (node.terminal == "limit")
            yield tree
