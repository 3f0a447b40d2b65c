"""Cards in the Hub's format. They make `datasets.load_dataset(FOLDER)` work and describe a published folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_cards(folder: Path, manifest: Mapping[str, Any]) -> None:
    """`README.md` of the artifact, and one inside each model or verifier output that has none."""
    body = _body(manifest)
    (folder / "README.md").write_text(_front(_dataset_front(manifest)) + body, encoding="utf-8")
    for name, output in manifest["outputs"].items():
        card = folder / name / "README.md"
        if output["kind"] in ("model", "verifier") and not card.exists():
            card.write_text(
                _front({"library_name": "transformers", "tags": ["reasoning_train", manifest["uses"]]}) + body,
                encoding="utf-8",
            )


def _dataset_front(manifest: Mapping[str, Any]) -> dict[str, Any]:
    with_rows = [name for name, output in manifest["outputs"].items() if "rows" in output]
    configs = [{"config_name": name, "data_files": f"{name}/part-*.parquet"} for name in with_rows]
    if configs:
        configs[0]["default"] = True
    return {"tags": ["reasoning_train", manifest["uses"]], **({"configs": configs} if configs else {})}


def _front(front: Mapping[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(dict(front), sort_keys=False)}---\n"


def _body(manifest: Mapping[str, Any]) -> str:
    config = yaml.safe_dump(manifest["config"], sort_keys=False, allow_unicode=True).strip()
    outputs = "\n".join(f"- `{name}`: {_output_line(output)}" for name, output in manifest["outputs"].items())
    made_from = (
        "\n".join(f"- `{name}` {entry['key'][:16]}" for name, entry in manifest["inputs"].items()) or "- nothing"
    )
    return (
        f"\n# {manifest['uses']} `{manifest['key'][:16]}`\n\n"
        f"Made by stage `{manifest['node']}` of recipe `{manifest['recipe']}` (reasoning_train "
        f"{manifest['code']['version']}), "
        f"seed {manifest['seed']}. `manifest.json` has the details.\n\n"
        f"{_notes(manifest)}"
        f"## Outputs\n\n{outputs}\n\n## Made from\n\n{made_from}\n\n## Configuration\n\n```yaml\n{config}\n```\n"
    )


def _notes(manifest: Mapping[str, Any]) -> str:
    """A section with what was learned from evaluated problems; empty if nothing was."""
    lines = "\n".join(f"- {note}" for note in manifest.get("notes", ()))
    return f"## Learned from evaluated problems\n\n{lines}\n\n" if lines else ""


def _output_line(output: Mapping[str, Any]) -> str:
    rows = f", {output['rows']} rows" if "rows" in output else ""
    return f"{output['kind']}{rows}, {output['bytes']} bytes"
