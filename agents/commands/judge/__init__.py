"""The commands `handlatent judge`, `judge-report`, `judge-attack` and `judge-train`."""

from agents.commands.judge.attack import JudgeAttackArgs, judge_attack
from agents.commands.judge.command import JudgeArgs, judge
from agents.commands.judge.report import JudgeReportArgs, judge_report
from agents.commands.judge.train import JudgeTrainArgs, judge_train

__all__ = [
    "JudgeArgs",
    "JudgeAttackArgs",
    "JudgeReportArgs",
    "JudgeTrainArgs",
    "judge",
    "judge_attack",
    "judge_report",
    "judge_train",
]
