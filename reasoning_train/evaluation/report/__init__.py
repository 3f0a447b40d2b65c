"""The report page of a run: a pure reader of manifests, one self-contained HTML file without scripts."""

from reasoning_train.evaluation.report.markdown import write_figures
from reasoning_train.evaluation.report.page import write_report

__all__ = ["write_figures", "write_report"]
