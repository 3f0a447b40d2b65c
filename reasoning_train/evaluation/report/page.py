"""Renders the report page from a run's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from reasoning_train.evaluation.report.gather import StageView, boxes, examples, stage_views
from reasoning_train.evaluation.report.graph_svg import graph_svg
from reasoning_train.recipe.plan_json import read_plan
from reasoning_train.recipe.store import Store


def write_report(run_dir: Path, store: Store) -> Path:
    """Write `report.html` into a run's folder and return its path; what failed or did not run is shown as such."""
    import jinja2

    plan = read_plan(run_dir / "plan.json")
    state = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    views = stage_views(plan, state, store)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("report.html.j2").render(
        plan=plan,
        run=state,
        views=views,
        graph=graph_svg(boxes(views)),
        tables=[(v.node.name, v.manifest["metrics"]["table"]) for v in views if "table" in v.manifest.get("metrics", {})],
        examples=examples(plan, store),
        facts=_facts(views),
        json=_pretty,
    )
    path, partial = run_dir / "report.html", run_dir / "report.html.partial"
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, path)
    return path


def _facts(views: list[StageView]) -> dict[str, str]:
    """Totals over the stages of the run; cached stages count with the time that they once took."""
    made = [v.manifest for v in views if v.manifest]
    tokens = sum(m.get("counts", {}).get("tokens.generated", 0) for m in made)
    first = made[0] if made else {}
    packages = first.get("packages", {})
    return {
        "stages": str(len(views)),
        "work of all stages": f"{sum(m.get('wall_s', 0) for m in made):.0f} s",
        "tokens generated": f"{tokens:,}",
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items() if version and name in ("torch", "transformers")),
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)
