"""A loss of a user's own module joins the trainers without an edit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.reasoning_train.trainers.losses import plugin_losses

CODE = """
import json, sys
from pathlib import Path
from reasoning_train.process.plugins import import_plugins

import_plugins()
from reasoning_train.api.refs import Ref
from tests.reasoning_train.bench import Bench
from tests.reasoning_train.stages.test_dpo import pairs, train

bench = Bench(Path(sys.argv[1]))
bench.model()
bench.gold()
fixed = {"policy": Ref("model"), "data": Ref("gold"), "learning_rate": 0.01, "batch_size": 4, "max_steps": 10}
terms = ["cross_entropy", {"uses": "t_focal", "gamma": 1.5, "weight": 0.5}]
made = [bench.make("tuned", "sft", losses=terms, **fixed), train(bench, losses=["dpo", "t_focal"], max_steps=10)]
print("\\n" + json.dumps([(artifact.path / "history.jsonl").read_text() for artifact in made]))
"""


def test_a_plugins_loss_trains_with_sft_and_with_dpo(tmp_path: Path) -> None:
    environment = {**os.environ, "REASONING_TRAIN_PLUGINS": plugin_losses.NAME}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [imitated], [preferred] = (
        [json.loads(line) for line in history.splitlines()]
        for history in json.loads(done.stdout.strip().splitlines()[-1])
    )
    assert abs(imitated["loss"] - imitated["loss_cross_entropy"] - 0.5 * imitated["loss_t_focal"]) < 1e-5
    assert 0 < imitated["loss_t_focal"] < imitated["loss_cross_entropy"]
    assert abs(preferred["loss"] - preferred["loss_dpo"] - preferred["loss_t_focal"]) < 1e-5
