"""`report`: one self-contained HTML page about the artifacts of other stages, from their manifests."""

from __future__ import annotations

from pydantic import Field

from reasoning_train.api.refs import Ref
from reasoning_train.api.stage import Context, StageConfig, stage
from reasoning_train.store.store import Artifact


class ReportConfig(StageConfig):
    """What the page shows: `{uses: report, of: ["${stages.tuned}", "${stages.eval}", "${stages.claim}"]}`."""

    of: list[Ref] = Field(min_length=1)
    """Outputs of any kind: tables with their intervals, models with their curves, solutions with their counts."""
    title: str = "report"
    about: str = ""
    """A line below the title."""


@stage("report", version=1, outputs={"page": "page"}, seeded=False, across_seeds=True, heavy=False)
def report(config: ReportConfig, ctx: Context) -> None:
    """Write `report.html`: tables, graph, curves, sample solutions and every stage's configuration, of all seeds."""
    from reasoning_train.evaluation.report import artifact_page, write_page

    inputs = {ref.node: ctx.input(ref) for ref in config.of}
    artifacts = {name: Artifact(source.path.parent, source.manifest) for name, source in inputs.items()}
    write_page(artifact_page(artifacts, config.title, config.about), ctx.output("page") / "report.html")
    ctx.count("out", len(artifacts))
