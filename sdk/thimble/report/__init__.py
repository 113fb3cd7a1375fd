"""One self-contained HTML page about a model: what it costs, why it is stored so, and what was verified."""

from thimble.report.data import ReportData, report_data
from thimble.report.write import render_report, write_report

__all__ = ["ReportData", "render_report", "report_data", "write_report"]
