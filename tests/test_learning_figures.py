"""The figures that learning.md quotes are those of its records."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from agents.figures.intervals import student

DOCS = Path(__file__).parents[1] / "docs"


def test_the_figures_that_readme_and_learning_quote_are_those_of_the_curriculum():
    cells = json.loads((DOCS / "learning" / "curriculum.json").read_text())["cells"]

    def mean(method, n, sampler="mixture"):
        own = [cell["samplers"] for cell in cells if (cell["n"], cell["method"]) == (n, method)]
        found = [figures[sampler]["correct"][0] for figures in own if sampler in figures]
        assert len(found) >= (3 if n == "all" else 5 if sampler == "mixture" else 4)
        return 100 * sum(found) / len(found)

    def rows(n):
        own = [
            cell["samplers"]["mixture"]["correct"][0] for cell in cells if (cell["n"], cell["method"]) == (n, "rows")
        ]
        assert len(own) == 3
        return 100 * sum(own) / len(own)

    def fresh(method, n):
        own = [
            cell["samplers"]["mixture"]["correct"][0]
            for cell in cells
            if (cell["n"], cell["method"]) == (n, method) and cell["seed"] >= 5
        ]
        assert len(own) == 5
        return 100 * sum(own) / len(own)

    def interval(method, n):
        own = [
            cell["samplers"]["mixture"]["correct"][0] for cell in cells if (cell["n"], cell["method"]) == (n, method)
        ]
        half = 100 * stats.t.ppf(0.975, len(own) - 1) * np.std(own, ddof=1) / np.sqrt(len(own))
        return mean(method, n) - half, mean(method, n) + half

    def best(kind, n):
        return max(mean(method, n) for method in {cell["method"] for cell in cells} if re.fullmatch(kind, method))

    def listed(found):
        *first, last = (f"{value:.1f}" for value in found)
        return f"{', '.join(first)} and {last} %"

    def nats(method):
        own = [cell["vae"]["validation_loss_nats"] for cell in cells if (cell["n"], cell["method"]) == ("800", method)]
        return sum(own) / len(own)

    counts, some = ("80", "800", "all"), ("80", "800")
    learning = " ".join((DOCS / "learning.md").read_text().split())
    readme = " ".join((DOCS.parent / "README.md").read_text().split())
    assert f"no action gives {listed(mean('none', n) for n in counts).replace(' %', ' % right hands')}" in learning
    assert f"The best constant, kappa 2, gives {listed(mean('uniform-2', n) for n in counts)}" in learning
    assert f"best falling schedule of each N gives {listed(best('falling-.*', n) for n in counts)}" in learning
    assert f"best KL weight gives {listed(best('kl-.*', n) for n in counts)}" in learning
    assert f"untrained agent** gives {listed(mean('untrained', n) for n in counts)}" in learning
    assert f"default reward, gives {listed(rows(n) for n in counts)}" in learning
    methods = {cell["method"] for cell in cells} - {"rows"}
    overall = {method: sum(mean(method, n) for n in counts) / 3 for method in methods}
    assert max((name for name in overall if name.startswith("uniform")), key=overall.__getitem__) == "uniform-2"
    said = (
        f"It gives {listed(mean('schedule', n) for n in counts).replace(' %', ' %,')} and {overall['schedule']:.1f} %"
    )
    assert f"{said} on average over N. Kappa 2 gives {overall['uniform-2']:.1f} % on average." in learning
    prior = [listed(mean(method, n, "prior") for n in some) for method in ("schedule", "uniform-2", "none")]
    assert f"it gives {prior[0]}. Kappa 2 gives {prior[1]}, no action {prior[2]}." in learning
    settled = [listed(mean(method, n, "settled") for n in some) for method in ("schedule", "uniform-2", "none")]
    assert f"({settled[1]} against {settled[2]}), and the agent gives more ({settled[0]})" in learning
    assert f"it is higher by {nats('schedule') - nats('none'):,.0f} nats" in learning

    def with_interval(method):
        return f"{mean(method, 'all'):.1f} ({' to '.join(f'{end:.1f}' for end in interval(method, 'all'))})"

    none, constant, agent = (with_interval(method) for method in ("none", "uniform-2", "schedule"))
    assert f"| 1,396 photographs | {none} | {constant} | {agent} |" in readme
    assert overall["schedule"] > max(overall[method] for method in overall if method.startswith(("uniform", "falling")))
    card = " ".join((DOCS.parent / "agents" / "weights" / "schedule" / "README.md").read_text().split())
    for method in ("schedule", "none"):
        assert listed(mean(method, n) for n in counts) in card
    seen_once = [listed(fresh(method, n) for n in counts) for method in ("schedule", "uniform-2", "none")]
    said = f"On them the agent gives {seen_once[0]}. Kappa 2 gives {seen_once[1]}, and no action {seen_once[2]}."
    assert said in learning
    with_agent, without = interval("schedule", "80"), interval("none", "80")
    assert f"{with_agent[0]:.1f} to {with_agent[1]:.1f} % against {without[0]:.1f} to {without[1]:.1f} %" in learning
    assert all(interval("schedule", n)[0] > interval("none", n)[1] for n in counts)


def test_learning_says_by_how_much_the_agent_is_ahead_seed_by_seed():
    cells = json.loads((DOCS / "learning" / "curriculum.json").read_text())["cells"]
    learning = " ".join((DOCS / "learning.md").read_text().split())

    def shares(n, method, sampler="mixture"):
        own = [cell for cell in cells if (cell["n"], cell["method"]) == (n, method) and sampler in cell["samplers"]]
        return {cell["seed"]: 100 * cell["samplers"][sampler]["correct"][0] for cell in own}

    def mean(n, method, sampler="mixture"):
        return np.mean([*shares(n, method, sampler).values()])

    def ahead(method, other, among, first=0):
        of_n = [(shares(n, method), shares(n, other)) for n in among]
        seeds = [seed for seed in range(first, 10) if all(seed in one for both in of_n for one in both)]
        found = student([np.mean([mine[seed] - others[seed] for mine, others in of_n]) for seed in seeds])
        return f"{found.value:.1f} points", f"({found.low:.1f} to {found.high:.1f})"

    counts, methods = ("80", "800", "all"), {cell["method"] for cell in cells}
    assert "the agent is {} ahead {}.".format(*ahead("schedule", "uniform-2", counts)) in learning
    assert "alone it is {} ahead {}, which".format(*ahead("schedule", "uniform-2", ["all"])) in learning
    assert "agent is {} ahead of kappa 2 {}.".format(*ahead("schedule", "uniform-2", counts, 5)) in learning
    weight = max((name for name in methods if re.fullmatch(r"kl-\d+", name)), key=lambda name: mean("800", name))
    said = "kappa 2 gives {} more than the best KL weight {}.".format(*ahead("uniform-2", weight, ["800"]))
    assert said in learning
    drawn = [f"{mean('all', method, 'settled'):.1f}" for method in ("falling-2", "schedule")]
    assert "falling from 2 gives {} % and the agent {} %.".format(*drawn) in learning
    for n in counts:
        with_prior = {name: mean(n, name, "prior") for name in methods if shares(n, name, "prior")}
        assert max(with_prior, key=with_prior.__getitem__) == "schedule"


def test_the_figures_that_learning_quotes_of_small_minibatches_are_those_of_their_records():
    learning = " ".join((DOCS / "learning.md").read_text().split())

    def mean(name, method, seeds, sampler="mixture"):
        cells = json.loads((DOCS / "learning" / "small-batches" / f"{name}.json").read_text())["cells"]
        found = [cell["samplers"][sampler]["correct"][0] for cell in cells if cell["method"] == method]
        assert len(found) == seeds
        return f"{100 * sum(found) / len(found):.1f}"

    def drawn(method):
        return mean("drawn", method, 3)

    assert f"the agent gives {drawn('schedule')} % and no action {drawn('none')} %" in learning
    assert f"Kappa 4 and 8 give {drawn('uniform-4')} and {drawn('uniform-8')} %" in learning
    assert f"Falling from 8 gives {drawn('falling-8')} %, and the KL term times 32 gives {drawn('kl-32')} %" in learning
    found = mean("photographs", "schedule", 3), mean("photographs", "none", 3)
    assert f"the agent gives {found[0]} % with the mixture, no action {found[1]} %" in learning


def test_the_figures_that_learning_quotes_of_the_data_set_that_the_agent_never_saw_are_those_of_their_records():
    learning = " ".join((DOCS / "learning.md").read_text().split())

    samplers = ("mixture", "prior", "denoised")

    def said(minibatches, method, sampler):
        path = DOCS / "learning" / "unseen" / f"minibatches-{minibatches}.json"
        cells = json.loads(path.read_text())["cells"]
        values = [100 * cell["samplers"][sampler]["correct"][0] for cell in cells if cell["method"] == method]
        assert len(values) == 3
        half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / 3**0.5
        return f"{np.mean(values):.1f}", f"({np.mean(values) - half:.1f} to {np.mean(values) + half:.1f})"

    agent, none = ({name: said(16, method, name) for name in samplers} for method in ("schedule", "none"))
    assert f"the agent gives {agent['mixture'][0]} % right hands {agent['mixture'][1]}, no action" in learning
    assert f"no action {none['mixture'][0]} % {none['mixture'][1]}." in learning
    assert f"with minibatches of 16: {agent['mixture'][0]} % instead of {none['mixture'][0]} %" in learning
    assert f"it gives {agent['prior'][0]} % (no action: {none['prior'][0]})" in learning
    assert f"with `denoised` {agent['denoised'][0]} % ({none['denoised'][0]})" in learning
    agent, none = ({name: said(64, method, name)[0] for name in samplers} for method in ("schedule", "none"))
    assert f"it gives {agent['mixture']} % (no action: {none['mixture']})" in learning
    assert f"with the learned prior {agent['prior']} % ({none['prior']})" in learning
    with (DOCS / "learning" / "unseen" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} rounds of 16 VAEs" in learning
    larger = [row for row in rows if row["n"] == "320"]
    explored, last = (sorted(f"{100 * float(row['right']):.1f}" for row in part) for part in (larger[:3], larger[-3:]))
    assert f"{explored[0]} to {explored[-1]} % of the hands were right after random schedules" in learning
    assert f"In the agent's last three rounds there, {last[0]} to {last[-1]} % were." in learning
    reach = [float(row[name]) for row in larger[-3:] for name in ("reach_first", "reach_last")]
    assert f"{min(reach):.1f} to {max(reach):.1f} in the last three rounds" in learning


def test_the_figures_that_learning_quotes_of_the_agent_for_synthetic_hands_are_those_of_their_records():
    learning = " ".join((DOCS / "learning.md").read_text().split())
    cells = json.loads((DOCS / "learning" / "demo" / "curriculum.json").read_text())["cells"]
    methods = {cell["method"] for cell in cells}

    def found(method, first=0):
        return [
            100 * cell["samplers"]["mixture"]["correct"][0]
            for cell in cells
            if cell["method"] == method and cell["seed"] >= first
        ]

    def said(method):
        values = found(method)
        half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
        return f"{np.mean(values):.1f}", f"({np.mean(values) - half:.1f} to {np.mean(values) + half:.1f})"

    agent, constant, none = (said(method) for method in ("schedule+kl-4", "uniform-3+kl-4", "kl-4"))
    assert f"gives {agent[0]} % right hands {agent[1].replace(')', '), no action')} {none[0]} %** {none[1]}" in learning
    assert f"no action gives {said('none')[0]} %." in learning
    assert f"gives {constant[0]} % {constant[1]}, and falling from 5 gives {said('falling-5+kl-4')[0]} %." in learning
    constants = [method for method in methods if method.startswith("uniform")]
    assert max(constants, key=lambda method: np.mean(found(method))) == "uniform-3+kl-4"
    assert student(found("schedule+kl-4")).low > student(found("uniform-3+kl-4")).high  # intervals apart
    fresh = [f"{np.mean(found(method, 5)):.1f}" for method in ("schedule+kl-4", "uniform-3+kl-4", "kl-4")]
    assert len(found("schedule+kl-4", 5)) == 5
    assert f"this agent gives {fresh[0]} %, kappa 3 {fresh[1]} %, and no action {fresh[2]} %." in learning
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    assert "| {} {} | {} {} | {} {} |".format(*none, *constant, *agent) in readme
    card = " ".join((DOCS.parent / "agents" / "weights" / "schedule" / "README.md").read_text().split())
    assert f"gives {agent[0]} %, no agent {none[0]} % and the best constant {constant[0]} %." in card
    with (DOCS / "learning" / "demo" / "rounds.csv").open() as file:
        right = [f"{100 * float(row['right']):.1f}" for row in csv.DictReader(file)]
    parts = [sorted(rows, key=float) for rows in (right[:4], right[4:11], right[-6:])]
    for rows in parts:
        assert f"{rows[0]} to {rows[-1]} %" in learning


def test_the_figures_that_learning_quotes_of_synthetic_hands_are_those_of_their_records():
    learning = " ".join((DOCS / "learning.md").read_text().split())

    def mean(path, n, method, sampler="mixture"):
        cells = json.loads((DOCS / "learning" / path).read_text())["cells"]
        found = [
            cell["samplers"][sampler]["correct"][0] for cell in cells if (cell["n"], cell["method"]) == (n, method)
        ]
        assert len(found) >= 3
        return f"{100 * sum(found) / len(found):.1f} %"

    def drawn(method, sampler="mixture"):
        return mean("curriculum-drawn.json", "6000", method, sampler)

    said = f"gives {drawn('schedule')}, and no action gives {drawn('none')}. Falling from 6 gives {drawn('falling-6')}"
    assert f"{said}, and the KL term times 32 gives {drawn('kl-32')}" in learning
    assert f"no action gives {drawn('none', 'prior')}, the agent {drawn('schedule', 'prior')}" in learning


@pytest.mark.parametrize(
    ("path", "n", "last", "said"),
    [
        ("agent-rounds.csv", "drawn-2000", 7, "{0} and {1} % were right after random schedules, and {low} to {high} %"),
        ("agent-rounds.csv", "320", 5, "{0} and {1} % became {low} to {high} % in the last five rounds"),
        ("agent-rounds.csv", "300", 4, "{0} % became {low} to {high} % at N = 300"),
        ("agent-rounds.csv", "340", 4, "{0} % became {low} to {high} % at N = 340"),
    ],
)
def test_the_rounds_that_learning_quotes_are_those_of_the_trainings(path, n, last, said):
    with (DOCS / "learning" / path).open() as file:
        rows = [row for row in csv.DictReader(file) if row["n"] == n]
    right = {flag: [f"{100 * float(row['right']):.1f}" for row in rows if row["explores"] == flag] for flag in "01"}
    acted = sorted(right["0"][-last:], key=float)
    learning = " ".join((DOCS / "learning.md").read_text().split())
    assert said.format(*right["1"], low=acted[0], high=acted[-1]) in learning
