"""Measure the judge on people and seeds that its training never used, and on edits made by different code."""

from hand_env.anatomy.report.agreement import Agreement, measure_agreement
from hand_env.anatomy.report.cases import Case, count_cases, report_cases
from hand_env.anatomy.report.clutter import cluttered_grounds
from hand_env.anatomy.report.copies import measure_novelty
from hand_env.anatomy.report.outside import outside_pictures, outside_table, write_outside
from hand_env.anatomy.report.scenes import cleanest_photographs, compose_scenes, judge_scenes, scene_table, why_rejected
from hand_env.anatomy.report.table import Row, measure, write_table

__all__ = [
    "Agreement",
    "Case",
    "Row",
    "cleanest_photographs",
    "cluttered_grounds",
    "compose_scenes",
    "count_cases",
    "judge_scenes",
    "measure",
    "measure_agreement",
    "measure_novelty",
    "outside_pictures",
    "outside_table",
    "report_cases",
    "scene_table",
    "why_rejected",
    "write_outside",
    "write_table",
]
