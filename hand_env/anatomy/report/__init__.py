"""Measure the judge on people and seeds that its training never used, and on edits made by different code."""

from hand_env.anatomy.report.agreement import Agreement, measure_agreement
from hand_env.anatomy.report.cases import Case, count_cases, report_cases
from hand_env.anatomy.report.copies import measure_novelty
from hand_env.anatomy.report.outside import outside_pictures, outside_table, write_outside
from hand_env.anatomy.report.table import Row, measure, write_table

__all__ = [
    "Agreement",
    "Case",
    "Row",
    "count_cases",
    "measure",
    "measure_agreement",
    "measure_novelty",
    "outside_pictures",
    "outside_table",
    "report_cases",
    "write_outside",
    "write_table",
]
