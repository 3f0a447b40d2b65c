"""The closed lists of words that readers know, by what they do in a text."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _in_order(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FUNCTIONS = _words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp")
"""Functions of one argument that may stand without brackets: `\\\\sin 2x`, `ln 2`."""

GREEK = _words(
    """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"""
)
"""Letters with names."""

SHORT_WORDS = _words("of to is in on at an or no as by we he it so if do am pm be go up us my me hi ok st nd rd th")
"""Words of two letters, which are no products of two variables."""

NOT_THINGS = _words(
    """not no nor never none or and but if then than as so yet else either neither both
    less more fewer greater smaller larger bigger lower higher least most at minus plus times over under above below
    between within about around nearly almost approximately roughly exactly perhaps maybe possibly probably
    divided multiplied by squared cubed doubled tripled halved root roots power powers mod modulo remainder
    out of to from into in on off up down until till through against for with without per
    is are was were be been being has have had does do did can could will would shall should may might must
    it its this that these those he she they them his her their our your my we you i
    short behind ahead ago before after earlier later again too also only just even still already
    equals equal thus hence therefore because since unless except instead respectively
    first second third last next other another same different unknown infinity infinitely infinite
    dozens hundreds thousands millions billions tens percent am pm oclock always sometimes towards across
    besides alas yes versus vs a an the sin cos tan log ln exp sqrt pi degree radians base digits
    positive negative loss losses profit profits debt debts overdue"""
)
"""Words behind a number that say something of the number, and are not the name of what is counted."""

BLOCKING = _words(
    """not no never none neither nor cannot without except unless or either if than least most less more fewer greater
    maybe perhaps possibly probably might could may would should lost loss loses lose below under above over minus
    negative almost nearly half double twice thrice wrong incorrect false impossible first second third last other"""
)
"""Words that keep a sentence from saying a plain number of its subject."""

GENERIC = _words(
    """the answer it there total result final so thus hence therefore value number amount sum this that our my a is in
    all solution correct overall altogether"""
)
"""Words of a subject that stand for the answer itself."""

UNITS_TO_NINETEEN = _in_order(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen"""
)
"""The numbers from 0 in words."""

TENS = _in_order("twenty thirty forty fifty sixty seventy eighty ninety")
"""The tens from 20 in words."""

MONTHS = _in_order("january february march april may june july august september october november december")
"""The months in order."""
