"""The figures of the rounds of `handlatent schedule`."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CHOICES = ("reach", "mix", "pull")

Infos = Sequence[Sequence[dict[str, Any]]]
Row = dict[str, float | str]


def summarise(infos: Infos) -> dict[str, float]:
    """Summarise a round: the share of right hands at the end, and how the first and the last half acted.

    Args:
        infos: For each step, one info per VAE. That of a VAE that just diverged is left out.

    Returns:
        "right" and its standard deviation over VAEs, "right_sd"; the means "reach_first" to "pull_last".
    """
    right = [1 - info["drawn_wrong"] for info in infos[-1] if not _diverged(info)]
    means = {"right": _mean(right), "right_sd": float(np.std(right, ddof=1)) if len(right) > 1 else 0.0}
    half = max(1, len(infos) // 2)
    for part, steps in (("first", infos[:half]), ("last", infos[-half:])):
        for name in CHOICES:
            means[f"{name}_{part}"] = _mean([info[name] for step in steps for info in step if not _diverged(info)])
    return means


def as_csv(rows: Sequence[Row]) -> str:
    """Write rows with the same keys as CSV, numbers with four decimals."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: v if isinstance(v, str) else round(v, 4) for name, v in row.items()} for row in rows)
    return text.getvalue()


def _diverged(info: dict[str, Any]) -> bool:
    """Whether Stable-Baselines3's info ends an episode that is not truncated: only divergence terminates one."""
    return "terminal_observation" in info and not info["TimeLimit.truncated"]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
