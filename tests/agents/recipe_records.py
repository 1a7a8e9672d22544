"""Figures of the records in docs/recipe, as tests of the pages need them."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import ttest_ind

DOCS = Path(__file__).parents[2] / "docs"


def by_run(name, sampler, agent, figure):
    """A figure of each run of a record, or of several: their names are joined by a plus."""
    records = [json.loads((DOCS / "recipe" / f"{part}.json").read_text()) for part in name.split("+")]
    cells = [cell for record in records for cell in record["cells"]]
    chosen = [cell["figures"] for cell in cells if (cell["sampler"], cell["agent"]) == (sampler, agent)]
    return [figures[figure]["value"] for figures in chosen]


def change(sampler, agent, figure, digits=1, times=100, *, record="faster", before="rejection"):
    """How much the runs of a record differ from those of one before, and Welch's interval of that, as text."""
    now, before = (times * np.array(by_run(name, sampler, agent, figure)) for name in (record, before))
    found = ttest_ind(now, before, equal_var=False).confidence_interval()
    ends = (found.low, found.high) if times > 0 else (found.high, found.low)
    return f"{now.mean() - before.mean():.{digits}f}", f"({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
