"""Renders the page as one self-contained HTML file, from a run's folder or the artifacts of a `report` stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning_train.evaluation.report.budgets import budget_view, write_curves
from reasoning_train.evaluation.report.curves import budget_figures
from reasoning_train.evaluation.report.gather import (
    StageView,
    artifact_views,
    boxes,
    count_stages,
    examples,
    per_artifact,
    run_views,
)
from reasoning_train.evaluation.report.graph_svg import graph_svg
from reasoning_train.store.plan_json import read_plan
from reasoning_train.store.run_json import read_state
from reasoning_train.store.state_files import write_text
from reasoning_train.store.store import Artifact, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Contents of a page: `Page(title="small", about="...", facts={"run": "done"}, views=[...], table=Path("..."))`."""

    title: str
    about: str
    facts: Mapping[str, str]
    """Name -> value, shown above the totals of all stages."""
    views: Sequence[StageView]
    table: Path | None
    """Rows of an evaluation, for example solutions."""


def write_report(run_dir: Path, store: Store, path: Path | None = None) -> Path:
    """Write `report.html` into a run's folder, or to another `path`, and return where it is. Stages that failed or did
    not run are shown as such."""
    plan = read_plan(run_dir / "plan.json")
    state = read_state(run_dir)
    made = [artifact for node in plan.nodes.values() if (artifact := store.find(node))]
    about = [plan.resolved.get("description", ""), f"{plan.resolved['paper']}." if plan.resolved.get("paper") else ""]
    page = Page(
        title=plan.name,
        about=" ".join(filter(None, about)),
        facts={"run": state["state"], "started": f"{state['started'][:16].replace('T', ' ')} UTC"},
        views=run_views(plan, state, store),
        table=_evaluation(made),
    )
    path = path or run_dir / "report.html"
    write_page(page, path)
    return path


def artifact_page(artifacts: Mapping[str, Artifact], title: str, about: str) -> Page:
    """The page of finished artifacts, named by their nodes."""
    return Page(
        title=title, about=about, facts={}, views=artifact_views(artifacts), table=_evaluation(artifacts.values())
    )


def write_page(page: Page, path: Path) -> None:
    """Render a page to a file atomically. The points of its curves against budgets go beside it, to a file of the same
    name that ends in `.json`."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    figures = budget_figures(page.views)
    if figures:
        write_curves(figures, path.with_suffix(".json"))
    text = environment.get_template("report.html.j2").render(
        page=page,
        budgets=[budget_view(figure) for figure in figures],
        facts={**page.facts, **totals(page.views)},
        graph=graph_svg(boxes(page.views)),
        examples=examples(page.table) if page.table else [],
        json=_pretty,
    )
    write_text(path, text)


def _evaluation(artifacts: Iterable[Artifact]) -> Path | None:
    """Rows of the first evaluation among the artifacts."""
    return next((artifact.path / "table" for artifact in artifacts if artifact.manifest["uses"] == "evaluate"), None)


def totals(views: Sequence[StageView]) -> dict[str, str]:
    """Totals over the artifacts. Cached ones count with their original time."""
    made = [v.manifest for v in per_artifact(views) if v.manifest]
    tokens = sum(m.get("counts", {}).get("tokens.generated", 0) for m in made)
    packages = made[0].get("packages", {}) if made else {}
    return {
        "graph": count_stages(views),
        "work": f"{sum(m.get('wall_s', 0) for m in made):.0f} s",
        "tokens generated": f"{tokens:,}",
        "versions": ", ".join(
            f"{name} {version}" for name, version in packages.items() if version and name in ("torch", "transformers")
        ),
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)
