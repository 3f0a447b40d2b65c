"""Records a digest of each stage's source beside its version: python -m tests.reasoning_train.stages.record_digests.

Run it after bumping the version of a stage whose results changed, or after an edit that cannot change them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import reasoning_train
from reasoning_train.api.stage import STAGES

FILE = Path(__file__).parent / "stage_digests.json"
PACKAGE = Path(reasoning_train.__file__).parent


def digests() -> dict[str, dict[str, Any]]:
    """Name -> version and sha256 of the source file, of the stages that this package ships."""
    stages = {name: STAGES.get(name) for name in STAGES.names()}
    own = {name: stage for name, stage in stages.items() if stage.source.is_relative_to(PACKAGE)}
    return {
        name: {"version": stage.version, "sha256": hashlib.sha256(stage.source.read_bytes()).hexdigest()}
        for name, stage in own.items()
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
