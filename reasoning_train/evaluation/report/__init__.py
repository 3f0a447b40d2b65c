"""The report page: a pure reader of manifests, one self-contained HTML file without scripts."""

from reasoning_train.evaluation.report.markdown import write_figures
from reasoning_train.evaluation.report.page import artifact_page, write_page, write_report

__all__ = ["artifact_page", "write_figures", "write_page", "write_report"]
