"""What the `search` stage opens."""

import pytest

from data_gen.errors import UserError
from data_gen.format import TaskFormat
from reasoning_train.stages.search_config import refuse_ends


def test_searches_refuse_formats_whose_solutions_end_in_text() -> None:
    refuse_ends(TaskFormat())
    with pytest.raises(UserError, match=r"task\.format\.ends: .*, but searches end solutions by end tokens only"):
        refuse_ends(TaskFormat(ends=("\n",)))
