"""How hard the arms of a comparison were tuned: out of how many candidates `choose` took each.

Arms that were chosen out of different numbers of candidates are refused, since the better one may only have been tried
more often. An arm that was not chosen at all is allowed beside chosen ones, because a baseline such as the start of a
training has nothing to tune; tables and claims then say "1 of k" and "not tuned".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reasoning_train.api.stage import STAGES, refs_of

if TYPE_CHECKING:
    from reasoning_train.api.refs import Ref
    from reasoning_train.api.stage import Made, Maker

Arms = Mapping[str, Sequence["Ref"]]
"""Row of a table -> the models, or the rows made with them, that distinguish it."""
_TEST_TIME = ("search", "sample")
"""Stages that run models at test time: what was chosen for them was chosen for the arm."""


def tried(made: Made, arms: Arms) -> dict[str, dict[str, int]]:
    """Arm -> `choose` stage -> number of its candidates, for the arms that were chosen."""
    chosen = {arm: _choices(made, refs) for arm, refs in arms.items()}
    return {arm: {one.name: len(_candidates(made, one)) for one in own} for arm, own in chosen.items() if own}


def uneven_effort(made: Made, arms: Arms) -> str:
    """A message if two arms were chosen from different numbers of candidates; otherwise empty. Choices that all arms
    share, and those that say why they are `uneven`, do not count."""
    choices = {arm: {maker.name: maker for maker in _choices(made, refs)} for arm, refs in arms.items()}
    shared = set.intersection(*(set(own) for own in choices.values())) if choices else set()
    totals = {
        arm: sum(
            len(_candidates(made, maker))
            for name, maker in own.items()
            if name not in shared and maker.config.uneven is None
        )
        for arm, own in choices.items()
    }
    chosen = {arm: total for arm, total in totals.items() if total}
    if len(set(chosen.values())) < 2:
        return ""
    counts = ", ".join(f"{arm!r} out of {total}" for arm, total in chosen.items())
    return (
        f"rows were chosen out of different numbers of candidates: {counts}. Try equally many for every arm, or "
        "give the reason in the `choose` stage: `uneven: ...`."
    )


def _candidates(made: Made, choice: Maker) -> set[str]:
    """The models that a `choose` stage took one of. A candidate that was chosen itself stands for all that it was
    chosen from."""
    found = set[str]()
    for ref in choice.config.policies.values():
        inner = [_candidates(made, one) for one in _choices(made, [ref])]
        found |= set().union(*inner) if inner else {str(ref)}
    return found


def _choices(made: Made, refs: Sequence[Ref]) -> list[Maker]:
    """The `choose` stages that made the models, or the models that made the rows."""
    found: dict[str, Maker] = {}
    for ref in refs:
        for maker in made.makers(ref)[:1]:
            carried = STAGES.get(maker.uses).carries
            if maker.uses == "choose":
                found[maker.name] = maker
            elif maker.uses in _TEST_TIME:
                found |= {one.name: one for one in _choices(made, list(refs_of(maker.config)))}
            elif carried:
                found |= {one.name: one for one in _choices(made, list(refs_of(getattr(maker.config, carried))))}
    return list(found.values())
