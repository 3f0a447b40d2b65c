"""Text from files and servers never commands a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.errors import UserError
from data_gen.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("over\rwritten", r"over\rwritten"),
        ("gnp.exe \u202e", r"gnp.exe \u202e"),
        ("half \ud83d", r"half \ud83d"),
        ("é ½ 数 😀", "é ½ 数 😀"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(UserError(text)) == shown


@given(st.text(st.characters(), max_size=40))
def test_what_is_shown_can_be_encoded_and_is_shown_again_as_it_is(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert printable(shown) == shown and "\x1b" not in shown
