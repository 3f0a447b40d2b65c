"""A plan holds every default of a search written out; a worker reads it back."""

from __future__ import annotations

import pytest

from data_gen.search import SEARCHES


@pytest.mark.parametrize("name", SEARCHES.names())
def test_a_search_with_its_defaults_written_out_reads_back(name: str) -> None:
    search = SEARCHES.get(name)(uses=name)
    assert type(search).model_validate(search.model_dump()) == search
