"""Cards in the Hub's format. They make `datasets.load_dataset(FOLDER)` work and describe a published folder: what it
was made from and under which licence, its columns, and how to open it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from reasoning_train.store.provenance import CARD, MODELS, said_on_card
from reasoning_train.store.snippets import snippet


def drop_cards(out: Path, kinds: Mapping[str, str]) -> None:
    """Remove cards that libraries left in models (peft's names paths), or that came with a copied one."""
    for name, kind in kinds.items():
        if kind in MODELS:
            (out / name / CARD).unlink(missing_ok=True)


def write_cards(folder: Path, manifest: Mapping[str, Any]) -> None:
    """`README.md` of the artifact, and one inside each model or verifier output."""
    outputs: Mapping[str, Mapping[str, Any]] = manifest["outputs"]
    with_rows = [name for name, output in outputs.items() if "rows" in output]
    configs = [{"config_name": name, "data_files": f"{name}/part-*.parquet"} for name in with_rows]
    front: dict[str, Any] = {"configs": [{**configs[0], "default": True}, *configs[1:]]} if configs else {}
    used = [_usage(folder, name, output["kind"], with_rows) for name, output in outputs.items()]
    (folder / CARD).write_text(_card(manifest, front, folder, used), encoding="utf-8")
    for name, output in outputs.items():
        if output["kind"] in MODELS:
            used = [snippet(folder / name, output["kind"], ".")]
            front = {"library_name": "transformers", **said_on_card(manifest)}
            (folder / name / CARD).write_text(_card(manifest, front, folder, used), encoding="utf-8")


def _usage(folder: Path, name: str, kind: str, with_rows: list[str]) -> str:
    return snippet(folder / name, "rows" if name in with_rows else kind, name)


def _card(manifest: Mapping[str, Any], front: Mapping[str, Any], folder: Path, used: list[str]) -> str:
    tags = {**_sources_front(manifest), "tags": ["reasoning_train", manifest["uses"]], **front}
    return f"---\n{yaml.safe_dump(tags, sort_keys=False)}---\n" + "\n".join(_sections(manifest, folder, used))


def _sources_front(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the Hub reads: the licence, and the models and data sets of the Hub that the artifact descends from."""
    sources = manifest.get("sources", [])
    licences = {source["license"] for source in sources}
    known = next(iter(licences)) if len(licences) == 1 else "other" if licences else ""
    front: dict[str, Any] = {"license": known or "unknown"}
    for field, what in (("base_model", "model"), ("datasets", "data")):
        if names := [source["name"] for source in sources if source["what"] == what and source["hub"]]:
            front[field] = names
    return front


def _sections(manifest: Mapping[str, Any], folder: Path, used: list[str]) -> Iterator[str]:
    yield (
        f"\n# {manifest['uses']} `{manifest['key'][:16]}`\n\n"
        f"Made by stage `{manifest['node']}` of recipe `{manifest['recipe']}` (reasoning_train "
        f"{manifest['code']['version']}), seed {manifest['seed']}. `manifest.json` has the details.\n"
    )
    if notes := manifest.get("notes", ()):
        yield "## Learned from evaluated problems\n\n" + "".join(f"- {note}\n" for note in notes)
    outputs = manifest["outputs"].items()
    yield "## Outputs\n\n" + "".join(f"- `{name}`: {_output_line(output)}\n" for name, output in outputs)
    if used:
        yield "## Use\n\nIn this folder:\n\n" + "\n".join(f"```python\n{code}```\n" for code in used if code)
    for name, output in outputs:
        if columns := _columns(folder / name) if "rows" in output else "":
            yield f"## Columns of `{name}`\n\n| column | type |\n| --- | --- |\n{columns}"
    inputs = "".join(f"- `{name}` {entry['key'][:16]}\n" for name, entry in manifest["inputs"].items())
    yield f"## Made from\n\n{inputs or '- no other stage' + chr(10)}"
    yield f"## Licence\n\n{_licences(manifest)}"
    config = yaml.safe_dump(manifest["config"], sort_keys=False, allow_unicode=True).strip()
    yield f"## Configuration\n\n```yaml\n{config}\n```\n"


def _licences(manifest: Mapping[str, Any]) -> str:
    said = "".join(
        f"- {source['what']} `{source['name']}`: {source['license'] or 'its card names no licence'}\n"
        for source in manifest.get("sources", [])
    )
    return said or "Made from no model or data of others.\n"


def _output_line(output: Mapping[str, Any]) -> str:
    rows = f", {output['rows']} rows" if "rows" in output else ""
    return f"{output['kind']}{rows}, {output['bytes']} bytes"


def _columns(folder: Path) -> str:
    """One line of a Markdown table a column."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(next(iter(sorted(folder.glob("part-*.parquet")))))
    return "".join(f"| `{field.name}` | `{field.type}` |\n" for field in schema)
