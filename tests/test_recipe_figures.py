"""The tables and the figures that the recipe's pages quote are those of their records."""

import json

import numpy as np
import pytest
from recipe_records import DOCS, by_run, change

from agents.commands.recipe.selection import NEAR
from agents.figures.intervals import student

RECIPE, TRIALS = ((DOCS / name).read_text(encoding="utf-8") for name in ("recipe.md", "trials.md"))
PAGES = f"{RECIPE}\n{TRIALS}"


def test_the_tables_of_selection_are_those_of_their_records(load):
    text, trials = PAGES, DOCS / "recipe" / "trials"
    script = load(DOCS.parent / "benchmarks" / "selection.py")
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in trials.glob("*.json")}
    for content in records.values():
        assert script.table(content) in text

    def share(record, prior, column="correct"):
        settings = (0.9, 0.4, 3 if prior == "first" else 1)
        (row,) = (
            row
            for row in records[record]["rows"]
            if (row["prior"], row["temperature"], row["final_denoise"], row["reencoded"]) == (prior, *settings)
        )
        return f"{100 * row[column]:.1f}"

    limit = "selected, 15 %"
    assert f"the recipe uses {100 * NEAR:g} %" in text
    assert f"from {share('limits', 'first')} to {share('limits', limit)} %" in text
    assert f"from {share('limits', 'first', 'new')} to {share('limits', limit, 'new')} %" in text
    assert f"{share('size', 'selected')} % right instead of {share('size', 'selected, larger')}" in text


def test_the_recipe_s_tables_are_those_of_its_records(load):
    tables, text = load(DOCS / "make_tables.py"), PAGES
    files = sorted((DOCS / "recipe").glob("*.json"))
    assert {"gradients", "seeds", "shipped", "synthetic"} <= {path.stem for path in files}
    for path in files:
        table = tables.table(json.loads(path.read_text()))
        assert table in text, f"Run python docs/make_tables.py docs/recipe/{path.name}"


def test_the_recipe_s_page_holds_the_agent_against_others_run_by_run():
    text = " ".join(PAGES.split())
    right, longer = right_on_the_prior("seeds"), right_on_the_prior("gradients")
    assert len(right["none"]) == 3
    assert longer["none"] == pytest.approx(right["none"], abs=0.11)  # the first of them measured on a CPU

    def ahead(mine, other):
        found = student([a - b for a, b in zip(mine, other, strict=True)])
        return [f"{value:.1f}" for value in (found.value, found.low, found.high)]

    value, low, high = ahead(right["sac-refine-3"], right["random-3"])
    assert f"{value} points ahead of them ({low} to {high})" in text
    value, low, high = ahead(right["gradient-3"], right["sac-refine-3"])
    assert f"{value} points behind ({high} behind to {low.removeprefix('-')} ahead)" in text
    value, low, high = ahead(longer["gradient-3"], right["sac-refine-3"])
    assert f"{value} points behind ({high} behind to {low} behind)" in text
    value, low, high = ahead(right["best-of-2"], right["sac-refine-3"])
    assert f"{value} points more than the agent ({low} to {high})" in text


def test_the_recipe_s_page_says_what_falling_deltas_change_run_by_run():
    text = " ".join(PAGES.split())

    def more(sampler, without, figure, times):
        pairs = zip(*(by_run(name, sampler, "none", figure) for name in ("falling", without)), strict=True)
        found = student([times * (mine - other) for mine, other in pairs])
        return [f"{value:.1f}" for value in (found.value, found.low, found.high)]

    value, low, high = more("mixture", "mixture", "correct", 100)
    assert f"that is {value} points more ({low} to {high})" in text
    value, low, high = more("prior", "seeds", "correct", 100)
    assert f"gives no more**: {value} points ({low} to {high})" in text
    value, low, high = (number.removeprefix("-") for number in more("prior", "seeds", "new", 100))
    assert f"{value} points fewer new hands ({low} fewer to {high} more)" in text
    value, low, high = (number.removeprefix("-") for number in more("prior", "seeds", "kernel_distance", 1000))
    assert f"prior falls by {value} ({low} to {high})" in text
    without, acting = (np.mean(by_run(name, "mixture", "none", "correct")) for name in ("mixture", "falling"))
    learning = " ".join((DOCS / "learning.md").read_text().split())
    assert f"raises the mixture from {100 * without:.1f} to {100 * acting:.1f} %" in learning


def test_the_recipe_s_page_says_what_rejection_gives():
    text = " ".join(PAGES.split())

    def rate(name, sampler, agent, figure, digits=1, times=100):
        return f"{times * np.mean(by_run(name, sampler, agent, figure)):.{digits}f}"

    def alone(*figure):
        return rate("rejection", "rejection", "none", *figure), rate("rejection/equal", "prior", "none", *figure)

    right = "{} % of hands are right without any agent, where the prior alone gives {} %."
    assert right.format(*alone("correct")) in text
    assert "New are {} % ({}), and by Lite2's features {} % ({}).".format(
        *alone("new"), *alone("new_by_features")
    ) in text.replace("**", "")
    distance = "Coverage is {} ({}), the kernel distance {} ({}), and sharpness {} ({})."
    assert (
        distance.format(*alone("coverage", 2, 1), *alone("kernel_distance", 1, 1000), *alone("sharpness", 2, 1)) in text
    )
    assert f"with it, {rate('rejection', 'rejection', 'sac-refine-3', 'correct')} % are right" in text
    for name, sampler in (
        ("rejection/equal", "prior"),
        ("rejection/equal", "rejection"),
        ("rejection/quarter", "rejection"),
        ("rejection", "rejection"),
        ("rejection/alike-apart", "rejection"),
        ("rejection/alike", "rejection"),
        ("rejection/alike-looser", "rejection"),
    ):
        shares = [rate(name, sampler, "none", figure) for figure in ("correct", "new")]
        others = (("coverage", 2, 1), ("kernel_distance", 1, 1000), ("sharpness", 2, 1))
        cells = ["none", *shares, *(rate(name, sampler, "none", *figure) for figure in others)]
        assert f"| {' | '.join(cells)} |" in text


def test_the_recipe_s_page_holds_the_agent_against_gradient_steps_where_latents_are_rejected():
    text = " ".join(PAGES.split())

    def behind(name, steps):
        pairs = zip(*(by_run(name, "rejection", agent, "correct") for agent in (steps, "sac-refine-3")), strict=True)
        found = student([100 * (theirs - own) for theirs, own in pairs])
        return [f"{value:.1f}" for value in (found.value, found.high, found.low)]

    value, high, low = behind("rejection/alike", "gradient-3")
    assert f"{value} points behind three steps ({high} behind to {low.removeprefix('-')} ahead)" in text
    value, high, low = behind("rejection/alike-looser", "gradient-3")
    assert f"{value} points behind three steps ({high} behind to {low.removeprefix('-')} ahead)" in text
    value, high, low = behind("rejection/alike-looser", "gradient-6")
    assert f"and {value} behind six ({high} to {low} behind)" in text
    agents = ("sac-refine-3", "gradient-3", "random-3")
    right = [f"{100 * np.mean(by_run('rejection/alike', 'rejection', agent, 'correct')):.1f}" for agent in agents]
    assert f"{right[0]} and {right[1]} % are right" in text
    assert f"Random corrections reach {right[2]} %" in text


def test_the_recipe_s_page_holds_the_agent_against_gradient_steps_that_decode_as_often():
    text = " ".join(PAGES.split())

    def mean(name, agent):
        return f"{100 * np.mean(by_run(name, 'prior', agent, 'correct')):.1f}"

    def ahead(sampler, record):
        ours, steps = (
            by_run("rejection", sampler, "sac-refine-3", "correct"),
            by_run(record, sampler, "gradient-3", "correct"),
        )
        found = student([100 * (own - theirs) for own, theirs in zip(ours, steps, strict=True)])
        return [f"{value:.1f}" for value in (found.value, found.low, found.high)]

    def bare(number):
        return number.removeprefix("-")

    assert mean("rejection", "sac-refine-3") == mean("rejection", "gradient-3")
    assert f"On the prior both give {mean('rejection', 'sac-refine-3')} %." in text
    value, low, high = ahead("prior", "rejection")
    assert f"run the agent is {bare(value)} points ahead ({low} to {high})" in text
    value, low, high = map(bare, ahead("rejection", "rejection"))
    assert f"With rejection it is {value} points behind ({low} behind to {high} ahead)" in text
    value, low, high = map(bare, ahead("prior", "rejection/long-steps"))
    assert f"give {mean('rejection/long-steps', 'gradient-3')} % on the prior, where" in text
    assert f"the agent is {value} points behind ({low} to {high};" in text
    assert f"the same agent gave {mean('rejection/equal', 'sac-refine-3')} %" in text
    assert f"random corrections alone gave {mean('rejection/equal', 'random-3')} %" in text


def test_the_recipe_s_page_says_what_rejection_gives_on_a_new_vae():
    text = " ".join(PAGES.split())

    def first(record, sampler, agent, figure, digits=1, times=100):
        return f"{times * by_run('rejection/' + record, sampler, agent, figure)[0]:.{digits}f}"

    def drawn(figure, *form):
        return (first("new-vae", "rejection", "none", figure, *form), first("new-vae", "prior", "none", figure, *form))

    right, alone = drawn("correct")
    assert (
        f"{right} % are right without an agent and {first('new-vae', 'rejection', 'sac-refine-3', 'correct')} %" in text
    )
    assert f"Its prior alone has {alone} %." in text
    figures = (*drawn("new"), *drawn("coverage", 2, 1), *drawn("kernel_distance", 1, 1000), *drawn("sharpness", 2, 1))
    words = "New are {} % ({}), coverage is {} ({}), the kernel distance {} ({}) and sharpness {} ({})."
    assert words.format(*figures) in text
    forms = {"new": (1, 100), "coverage": (2, 1), "kernel_distance": (1, 1000), "sharpness": (2, 1)}
    looser = [first("alike-looser", "rejection", "none", figure, *form) for figure, form in forms.items()]
    assert "{} % are new, coverage is {}, the kernel distance {} and sharpness {}.".format(*looser) in text


def test_the_recipe_s_page_says_what_the_recipe_gives():
    text = " ".join(RECIPE.split())

    def mean(record, agent, name, digits=1, times=100):
        return f"{times * np.mean(by_run(record, 'rejection', agent, name)):.{digits}f}"

    agent, distance, share = "sac-refine-3", ("kernel_distance", 1, 1000), ("coverage", 2, 1)
    right = [mean("varied", each, "correct") for each in ("none", agent)]
    assert "Over three seeds, {} % of hands are right without an agent and {} % with it, and".format(*right) in text
    assert f"and {mean('varied', agent, 'new')} % are new.** Lite2's features call" in text
    assert f"features call {mean('varied', agent, 'new_by_features')} % new. Coverage is" in text
    assert (
        f"Coverage is {mean('varied', agent, *share)}, the kernel distance {mean('varied', agent, *distance)} and "
        f"sharpness {mean('varied', agent, 'sharpness', 2, 1)}." in text
    )
    words = (
        "hands rise by {} points {}, coverage by {} {} and density by {} {}. Right hands differ by {} points {}, the "
        "kernel distance by {} {}."
    )
    figures = (("new",), share, ("density", 2, 1), ("correct",), distance)
    changes = [change("rejection", agent, *figure, record="varied", before="faster") for figure in figures]
    assert words.format(*(part for each in changes for part in each)) in text
    hotter = [mean("rejection/hotter", agent, *figure) for figure in (("new",), ("correct",), share, distance)]

    def changed(name, digits, times):  # run by run: both have the same VAEs
        pairs = zip(
            *(by_run(record, "rejection", agent, name) for record in ("rejection/hotter", "faster")), strict=True
        )
        found = student([times * (now - before) for now, before in pairs])
        ends = (found.low, found.high) if times > 0 else (found.high, found.low)
        return f"{abs(found.value):.{digits}f}", "({0:.{2}f} to {1:.{2}f})".format(*ends, digits)

    new, right, density = changed("new", 1, 100), changed("correct", 1, -100), changed("density", 2, -1)
    assert (
        f"have {hotter[0]} % new hands. That is {new[0]} points more than they had {new[1]}. Right hands with the "
        f"agent fall by {right[0]} points {right[1]} to {hotter[1]} %. Coverage is {hotter[2]}, the kernel distance "
        f"{hotter[3]}, and density is {density[0]} lower {density[1]}." in text
    )
    nine = "varied+rejection/retrained+rejection/repeated"
    new = change("rejection", agent, "new", record=nine, before="faster")
    assert "those of the next two entries, new hands rise by {} points {}.".format(*new) in text
    new = change("rejection", agent, "new", record="rejection/retrained", before="rejection/repeated")
    assert "The three runs before have {} points more new hands than those after {}.".format(*new) in text


def test_the_recipe_s_page_says_what_the_version_before_gave():
    text = " ".join(PAGES.split())

    means = [100 * np.mean(by_run("faster", "rejection", agent, "correct")) for agent in ("none", "sac-refine-3")]
    assert "Over three seeds {:.1f} % of hands are right without an agent and {:.1f} % with it".format(*means) in text
    changes = [
        change("rejection", "sac-refine-3", "correct"),
        change("rejection", "sac-refine-3", "new"),
        change("rejection", "sac-refine-3", "coverage", 2, 1),
    ]
    assert (
        "right hands differ by {} points {}, new ones by {} {} and coverage by {} {}.".format(
            *(part for each in changes for part in each)
        )
        in text
    )
    value, interval = change("prior", "none", "correct")
    assert f"On the prior alone, right hands differ by {value} points {interval}." in text
    value, interval = change("rejection", "sac-refine-3", "kernel_distance", 1, -1000)
    assert f"The kernel distance falls by {value} {interval.replace(')', ' with rejection)')}" in text

    def stricter(agent, name, digits=1, times=100):
        return f"{times * by_run('rejection/stricter', 'rejection', agent, name)[0]:.{digits}f}"

    assert f'as that of "far". Then {stricter("none", "new")} % are new.' in text
    numbers = [
        stricter("none", *each) for each in (("coverage", 2, 1), ("kernel_distance", 1, 1000), ("sharpness", 2, 1))
    ]
    others = [
        f"{100 * by_run(f'rejection/{name}', 'rejection', 'none', 'new')[0]:.1f}"
        for name in ("other-latents", "stricter-other-latents")
    ]
    assert f"the recipe's limits give {others[0]} % new hands and the stricter ones {others[1]} " in text
    kernel = f"{1000 * by_run('rejection/other-latents', 'rejection', 'none', 'kernel_distance')[0]:.1f}"
    first = [by_run("faster", "rejection", "none", name)[0] for name in ("new", "kernel_distance")]
    assert (
        f"seed 0 has {others[0]} % new hands and a kernel distance of {kernel}, where the table's thousand has " in text
    )
    assert f"thousand has {100 * first[0]:.1f} % and {1000 * first[1]:.1f}." in text
    words = "Coverage is {}, the kernel distance {} and sharpness {}, and {} % are right with the agent"
    assert words.format(*numbers, stricter("sac-refine-3", "correct")) in text
    for sampler, added, behind in (
        (
            "prior",
            "adds {:.1f} points to the prior alone ({:.1f} to {:.1f})",
            "ends {:.1f} points behind three gradient",
        ),
        ("rejection", "and {:.1f} to rejection ({:.1f} to {:.1f})", "and {:.1f} behind with rejection"),
    ):
        none, ours, steps = (
            by_run("faster", sampler, agent, "correct") for agent in ("none", "sac-refine-3", "gradient-3")
        )
        gain = student([100 * (after - before) for before, after in zip(none, ours, strict=True)])
        assert added.format(gain.value, gain.low, gain.high).replace("-0.0", "0.0") in text
        lag = student([100 * (more - less) for less, more in zip(ours, steps, strict=True)])
        assert behind.format(lag.value) in text
        assert f"({lag.high:.1f} behind to {-lag.low:.1f} ahead)" in text


def test_the_recipe_s_page_says_what_changes_of_the_decoder_gave():
    text = " ".join(PAGES.split())
    rows = json.loads((DOCS / "recipe" / "details" / "trials.json").read_text())["rows"]
    distances = (("coverage", 2), ("density", 2), ("kernel_distance", 1), ("sharpness", 2))
    shares = (("correct", 1), ("new", 1))
    columns = [("training photographs", distances), ("rejection", (*shares, *distances))]
    for row in rows:
        cells = [f"{row[part][name]:.{digits}f}" for part, figures in columns for name, digits in figures]
        assert f"| {row['change']} | {' | '.join(cells)} |" in text
    before, larger = (row["rejection"] for row in rows[:2])
    assert f"coverage is {larger['coverage']:.2f} instead of {before['coverage']:.2f} with rejection" in text
    assert f"The density, {before['density']:.2f} before, is {larger['density']:.2f}." in text
    distance = f"{larger['kernel_distance']:.1f} instead of {before['kernel_distance']:.1f}"
    new = f"{larger['new']:.1f} instead of {before['new']:.1f} %"
    assert f"The kernel distance is {distance}, and new hands are fewer, {new}" in text


def test_the_recipe_s_page_says_what_opposite_corrections_add():
    shares = (by_run("rejection/random-next", each, "sac-refine-3", "correct") for each in ("prior", "rejection"))
    words = "Before it tried opposites, {:.1f} and {:.1f} % were right"
    assert words.format(*(100 * np.mean(share) for share in shares)) in " ".join(PAGES.split())


def test_the_recipe_s_page_says_what_half_as_many_corrections_cost():
    text = " ".join(PAGES.split())
    without, acting = (by_run("rejection/alike", "prior", agent, "correct") for agent in ("none", "sac-refine-3"))
    found = student([100 * (after - before) for before, after in zip(without, acting, strict=True)])
    assert f"add {found.value:.1f} points to the prior ({found.low:.1f} to {found.high:.1f})" in text
    before = right_on_the_prior("seeds")
    gains = [after - first for first, after in zip(before["none"], before["sac-refine-3"], strict=True)]
    fewer = [100 * (after - first) for first, after in zip(without, acting, strict=True)]
    found = student([more - less for more, less in zip(gains, fewer, strict=True)])
    assert f"{found.value:.1f} points less ({found.high:.1f} to {found.low:.1f} less)" in text


def right_on_the_prior(name):
    """Percentages of right hands of the learned prior, a list over runs for each agent."""
    agents = ("none", "random-3", "sac-refine-3", "gradient-3", "best-of-2")
    return {agent: [100 * share for share in by_run(name, "prior", agent, "correct")] for agent in agents}
