"""The tables and the figures that pages, README and model cards quote are those of their records."""

import csv
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from agents.commands.curriculum.store import read_records
from agents.commands.curriculum.table import make_tables
from agents.rl.schedule_agent import DECISIONS
from vae.images import SPLIT_SEED, split_by_group
from vae.images.handinfo import read_handinfo

DOCS = Path(__file__).parent.parent / "docs"


def test_the_counts_of_photographs_are_those_of_the_folder_that_the_figures_come_from(photographs):
    rows = read_handinfo(photographs / "HandInfo.csv")
    present = [row for row in rows if (photographs / "Hands" / row.image).is_file()]
    if len(present) == len(rows):
        pytest.skip("this is the full download")
    people = sorted({row.person for row in rows})

    def regular(chosen):
        return [row for row in chosen if not row.irregularities]

    def split(chosen):
        parts = split_by_group([row.person for row in chosen], people, seed=SPLIT_SEED)
        return [len(rows) for rows in (parts.train, parts.validation, parts.test)]

    readme, cli, compare = (
        " ".join((DOCS.parent / name).read_text(encoding="utf-8").split())
        for name in ("README.md", "docs/cli.md", "docs/compare.md")
    )
    assert f"[{len(present):,} of the {len(rows):,}]" in readme
    shown = len({row.person for row in present})
    assert f"{len(present):,} of its {len(rows):,} photographs, which show {shown} of its {len(people)} people" in cli
    left_out, parts = len(present) - len(regular(present)), split(regular(present))
    assert f"{left_out} of the {len(present):,} are marked as irregular" in cli
    said = "The other {:,} are {:,} of training people, {} of validation people and {} of test people."
    assert said.format(sum(parts), *parts) in cli
    assert f"The full download has {split(regular(rows))[0]:,} of training people." in cli
    assert (
        f"The {split(present)[0]:,} photographs are the recipe's {parts[0]:,} and the "
        f"{split(present)[0] - parts[0]} that are marked as irregular"
    ) in compare


def test_the_tables_of_the_study_are_those_of_its_records(load):
    learning, text = load(DOCS.parent / "benchmarks" / "learning_tables.py"), (DOCS / "loss.md").read_text()
    files = sorted((DOCS / "loss").glob("*.json"))
    assert {"settings", "study"} <= {path.stem for path in files}
    for path in files:
        tables = learning.tables(json.loads(path.read_text()))
        assert tables.strip() in text, f"Run python benchmarks/learning_tables.py docs/loss/{path.name}"


def test_the_tables_of_the_curriculum_are_those_of_its_records(load):
    tables, text = load(DOCS / "make_tables.py"), (DOCS / "learning.md").read_text()
    for path in sorted((DOCS / "learning").glob("curriculum*.json")):
        laid_out = tables.table(json.loads(path.read_text()))
        assert laid_out.startswith("correct %")
        assert laid_out in text, f"Run python docs/make_tables.py docs/learning/{path.name}"
    paper = read_records(json.loads((DOCS / "learning" / "paper" / "curriculum.json").read_text()))
    assert make_tables(paper, ("skin",)).split("\n\nloss on")[0] in text
    assert {figures["correct"].value for cell in paper for figures in cell.samplers.values()} == {0}
    plain = [
        (cell.n, cell.method, cell.epochs)
        for cell in paper
        if any(figures["plain"].value > 0 for figures in cell.samplers.values())
    ]
    assert set(plain) == {("8", "uniform-2", 100)}
    few = [
        cell.samplers["mixture"]["plain"].value for cell in paper if cell.method == "uniform-2" and cell.epochs == 100
    ]
    assert f"except {100 * np.mean(few):.1f} % with kappa 2" in text
    laid_out = tables.table(json.loads((DOCS / "learning" / "demo" / "curriculum.json").read_text()))
    assert laid_out.split("\n\nnew %")[0] in text, "Run python docs/make_tables.py docs/learning/demo/curriculum.json"


def test_the_tables_of_the_algorithms_are_those_of_their_records(load):
    path = DOCS / "algorithms" / "algorithms.json"
    script, records = load(DOCS.parent / "benchmarks" / "algorithms_tables.py"), json.loads(path.read_text())["runs"]
    laid_out = script.tables(records)
    assert laid_out in (DOCS / "algorithms.md").read_text(), f"Run python benchmarks/algorithms_tables.py {path}"


def test_the_curves_of_fast_sac_are_those_of_their_records(load):
    path, page = DOCS / "algorithms" / "fast_sac.json", (DOCS / "algorithms.md").read_text()
    records = json.loads(path.read_text())["trainings"]
    tables = load(DOCS.parent / "benchmarks" / "fast_sac_learning.py").tables(records)
    assert tables in page, f"Run python benchmarks/fast_sac.py --table {path}"
    assert tables.count("intervals overlap") == 20
    assert "do not overlap" not in tables
    fast, stock = (
        np.mean([r["points"] for r in records if (r["problem"], r["algorithm"]) == ("latents", name)], 0)
        for name in ("FastSAC", "SAC")
    )
    said = f"FastSAC is {fast[0] - stock[0]:.3f} ahead at first and {fast[-1] - stock[-1]:.3f} ahead at the end."
    assert f"{said} Stock SAC rises by {stock[-1] - stock[0]:.3f} in all." in " ".join(page.split())


def test_the_figures_that_the_algorithms_page_quotes_are_those_of_its_tables():
    page = " ".join((DOCS / "algorithms.md").read_text().split())
    refine, schedule = (
        {row[0]: [cell.split(" (")[0] for cell in row[2:]] for row in rows_after(page_part)}
        for page_part in ("HandRefine-v0:", "HandSchedule-v0:")
    )
    last = {name: row[2] for name, row in refine.items()}
    none = refine["no agent"][0]
    assert f"bring {last['PPO']} and {last['CrossQ']} % right hands after {none} % without an agent." in page
    assert f"SAC comes to {last['SAC']} %, but its interval holds {none} %." in page
    low, high = re.search(rf"SAC +\|.*\| {last['SAC']} +\((.*?) to (.*?)\)", page.replace(" | ", " | ")).groups()
    assert float(low) < float(none) < float(high)
    assert f"TQC comes to {last['TQC']} %. TD3 falls to {last['TD3']} %." in page
    trained = {name: row for name, row in schedule.items() if name != "no agent"}
    first = sorted((row[0] for row in trained.values()), key=float)
    assert f"turns {schedule['no agent'][0]} % into {first[0]} to {first[-1]} %" in page
    assert all(float(row[2]) <= float(row[0]) for row in trained.values())  # none does better than untrained
    recipe = {
        row["agent"]: row["figures"]["correct"]["value"]
        for row in json.loads((DOCS / "recipe" / "varied.json").read_text())["table"]
        if row["sampler"] == "prior"
    }
    gain = recipe["sac-refine-3"] - recipe["none"]
    assert f"where {recipe['none']:.1%}".replace("%", " %") + " are right without an agent, SAC" in page
    assert f"pictures adds {100 * gain:.1f} points." in page
    with (DOCS / "learning" / "agent-rounds.csv").open() as file:
        rounds = len(list(csv.DictReader(file)))
    assert f"has learned from {rounds * 16 * DECISIONS:,}" in page


def rows_after(heading):
    """The cells of the table below a line of the algorithms page."""
    lines = (DOCS / "algorithms.md").read_text().split(f"\n{heading}\n\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_card_of_the_packaged_weights_quotes_what_their_files_gave():
    card = (DOCS.parent / "agents" / "weights" / "photographs" / "README.md").read_text(encoding="utf-8")
    rows = json.loads((DOCS / "recipe" / "shipped.json").read_text())["table"]

    def said(sampler, agent):
        (found,) = [row["figures"]["correct"] for row in rows if (row["sampler"], row["agent"]) == (sampler, agent)]
        value, low, high = (f"{100 * found[name]:.1f}" for name in ("value", "low", "high"))
        return f"{value} % ({low} to {high})"

    prior, rejection = (
        [said(sampler, agent) for agent in ("none", "sac-refine-3")] for sampler in ("prior", "rejection")
    )
    assert f"{prior[0]} are correct as drawn from the prior, and {prior[1]} with the agent." in card
    assert f"as `generate` draws, it is {rejection[0]} and {rejection[1]}:" in card


def test_the_study_s_records_hold_what_was_asked_of_it():
    records = json.loads((DOCS / "loss" / "study.json").read_text())
    for n, regime in itertools.product((80, 800), ("frozen", "training")):
        runs = [r for r in records if (r["run"]["label"], r["run"]["n"], r["run"]["regime"]) == ("chosen", n, regime)]
        scores = {
            agent: [r["result"][agent]["counterfactual"] for r in runs if agent in r["result"]]
            for agent in ("SAC", "random", "gradient 13")
        }
        assert {len(values) for values in scores.values()} == {5}
        assert low(scores["SAC"]) > 0
        assert low(scores["SAC"]) > -low([-value for value in scores["random"]])  # intervals apart


def low(values):
    """Lower end of the 95 % interval of a mean."""
    return np.mean(values) - stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
