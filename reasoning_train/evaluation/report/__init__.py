"""The report page: one self-contained HTML file without scripts, made from manifests alone."""

from reasoning_train.evaluation.report.markdown import write_figures
from reasoning_train.evaluation.report.page import artifact_page, write_page, write_report
from reasoning_train.evaluation.report.results import write_result

__all__ = ["artifact_page", "write_figures", "write_page", "write_report", "write_result"]
