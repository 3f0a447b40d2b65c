"""Peak memory of DPO against TRL's DPOTrainer: a 32k-vocabulary Llama of width 128, 4 pairs a step (256-token prompts,
128-token sides).

Each side trains in a process of its own; counted is the highest resident memory above that after imports and with the
policy in memory. TRL keeps the reference beside the policy, runs each side behind its own prompt and reads the
vocabulary in chunks of its own; ours caches references, runs the prompt once and reads at most 512 positions at a time.
A pass holds a whole step on either side. `default` is TRL as it comes (but in float32), which recomputes activations in
the backward pass, as ours does there; `plain` is without on both sides.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks._against_trl import apart
from tests.benchmarks._resident import resident_mib

WORDS, PAIRS, PROMPT, SIDE, STEPS, REPEATS = 16_000, 4, 256, 128, 2, 2


def run() -> Iterator[dict[str, Any]]:
    """Peaks, their ratios, and the largest relative difference in loss and gradient norm."""
    known = json.dumps(_process("reference", False, "")["reference"])
    worst = 0.0
    for name, again in (("default", True), ("plain", False)):
        found = [{side: _process(side, again, known) for side in ("theirs", "ours")} for _ in range(REPEATS)]
        peaks = {side: statistics.median(turn[side]["peak_mib"] for turn in found) for side in ("theirs", "ours")}
        for side, peak in peaks.items():
            yield {
                "name": f"dpo_memory.{name} {side}",
                "value": round(peak, 1),
                "unit": "MiB",
                "target": None,
                "ok": True,
            }
        share = peaks["ours"] / peaks["theirs"]
        yield {
            "name": f"dpo_memory.{name}",
            "value": round(share, 3),
            "unit": "x",
            "target": "<= 0.6",
            "ok": share <= 0.6,
        }
        worst = max(worst, apart([run["curve"] for turn in found for run in turn.values()]))
    yield {
        "name": "dpo_memory.largest_difference",
        "value": worst,
        "unit": "",
        "target": "<= 1e-3",
        "ok": worst <= 1e-3,
    }


def _process(side: str, again: bool, known: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.dpo_memory", side, str(int(again))]
    said = subprocess.run(command, input=known, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def main() -> None:
    """The measured process; prints one line of JSON."""

    from tests.benchmarks._against_trl import model, quiet, tokenizer
    from tests.benchmarks._dpo_sides import our_dpo, pairs, rows, theirs

    side, again, known = sys.argv[1], bool(int(sys.argv[2])), sys.stdin.read()
    with quiet(), tempfile.TemporaryDirectory() as name:
        words, folder = tokenizer(WORDS), Path(name)
        made, policy = pairs(words, PAIRS, prefix=PROMPT, side=SIDE), model(words)
        if side == "reference":
            print(json.dumps({"reference": [row.reference for row in rows(words, made, policy)]}))
            return
        encoded = rows(words, made, json.loads(known)) if side == "ours" else []
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest so far
        before = resident_mib("VmRSS")
        options: dict[str, Any] = {"steps": STEPS, "policy": policy, "gradient_checkpointing": again}
        if side == "ours":
            clock = our_dpo(words, encoded, folder, micro_tokens=8192, **options)
        else:
            clock = theirs(words, made, folder, micro=PAIRS, **options)
        print(json.dumps({"peak_mib": resident_mib("VmHWM") - before, "curve": clock.curve}))


if __name__ == "__main__":
    main()
