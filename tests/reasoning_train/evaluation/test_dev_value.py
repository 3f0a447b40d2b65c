"""The value of a row that stop rules and choices read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import GateError, Input
from reasoning_train.evaluation.dev_value import dev_value
from reasoning_train.store.rows import write_rows
from tests.reasoning_train.evaluation.rows import row


def test_the_mean_is_over_the_problems_that_have_the_metric(tmp_path: Path) -> None:
    made = [row("tuned", f"p{i}", True, measures={"strict": i / 4} if i else {}) for i in range(4)]
    write_rows(tmp_path, kind="table", rows=made)
    table, ref = Input(tmp_path, "table", {}), Ref("t")
    assert dev_value(table, ref, "strict", "tuned", "choose") == pytest.approx((1 + 2 + 3) / 4 / 3)
    with pytest.raises(GateError, match="has no metric 'strictest'; it has accuracy, .*strict"):
        dev_value(table, ref, "strictest", "tuned", "choose")
