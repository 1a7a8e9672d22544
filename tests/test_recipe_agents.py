"""What the recipe's page says of the agent, run by run, is what the records say."""

import json

import numpy as np
import pytest
from recipe_records import DOCS, by_run, change

from agents.commands.package.model_card import model_card
from agents.figures.intervals import student
from hand_env.anatomy.summary import wilson

CARD = {"pictures": {"photographs": 1396, "drawn": 12000}}
RECIPE = " ".join((DOCS / "recipe.md").read_text(encoding="utf-8").split())
NINE = "varied+rejection/retrained+rejection/repeated"  # nine runs
LARGER = "rejection/agents+rejection/retrained-larger-steps+rejection/repeated-larger-steps"
AHEAD = {  # sampler, then twice a record and an agent, the first of which has more right hands: what the page says
    "prior varied sac-refine-3 varied none": "The agent adds {:.1f} points to the prior alone** ({:.1f} to {:.1f})",
    "rejection varied sac-refine-3 varied none": "and {:.1f} with rejection ({:.1f} to {:.1f}), where nearly all",
    "prior varied sac-refine-3 varied gradient-3": "it is {0:.1f} points ahead ({1:.1f} to {2:.1f})",
    "prior varied sac-refine-3 rejection/agents gradient-3": "is {0:.1f} points ahead ({3:.1f} behind to {2:.1f} ahead",
    "rejection varied sac-refine-3 varied gradient-3": "it is {0:.1f} points ahead ({3:.1f} behind to {2:.1f} ahead)",
    "prior varied sac-refine-3 rejection/agents random-3": "it is {:.1f} points ahead of random corrections ({:.1f} to",
    "prior rejection/agents best-of-2 varied sac-refine-3": "{:.1f} points more than the agent ({:.1f} to {:.1f}), but",
    "prior rejection/retrained sac-refine-3 rejection/unshifted sac-refine-3": "has {:.1f} points more ({:.1f} to",
    f"prior {NINE} sac-refine-3 {NINE} gradient-3": "nine runs it is {:.1f} points ahead ({:.1f} to {:.1f})",
    f"prior {NINE} sac-refine-3 {LARGER} gradient-3": "is {:.1f} points ahead ({:.1f} to {:.1f}) of the larger ones",
}


@pytest.mark.parametrize("compared", AHEAD)
def test_the_recipe_s_page_holds_the_agent_against_others(compared):
    sampler, *both = compared.split()
    said = AHEAD[compared]
    pairs = zip(*(by_run(both[i], sampler, both[i + 1], "correct") for i in (0, 2)), strict=True)
    found = student([100 * (mine - other) for mine, other in pairs])
    assert said.format(found.value, found.low, found.high, -found.low) in RECIPE


@pytest.mark.parametrize(
    ("agents", "steps", "said"),
    [
        (NINE, NINE, "Over the other seven it is {:.1f} points ahead ({:.1f} to {:.1f})."),
        (NINE, LARGER, "and over those seven {:.1f} points ({:.1f} to {:.1f};"),
    ],
)
def test_the_runs_that_chose_no_setting_show_the_agent_ahead_of_gradient_steps(agents, steps, said):
    runs = ((agents, "sac-refine-3"), (steps, "gradient-3"))
    pairs = zip(*(by_run(name, "prior", agent, "correct") for name, agent in runs), strict=True)
    differences = [100 * (mine - other) for mine, other in pairs]
    found = student(differences[:3] + differences[5:])  # without seeds 0 and 1 of the runs before
    assert said.format(found.value, found.low, found.high) in RECIPE


def test_the_recipe_s_page_holds_the_agent_against_four_sizes_of_gradient_steps():
    sizes = json.loads((DOCS / "recipe" / "details" / "step-sizes.json").read_text(encoding="utf-8"))["correct"]
    runs = {0.1: by_run(NINE, "prior", "gradient-3", "correct"), 0.3: by_run(LARGER, "prior", "gradient-3", "correct")}
    runs |= {float(rate): [share for part in parts.values() for share in part] for rate, parts in sizes.items()}
    assert {len(shares) for shares in runs.values()} == {9}
    *first, last = (f"{100 * np.mean(runs[rate]):.1f}" for rate in sorted(runs))
    *rates, greatest = (str(rate) for rate in sorted(runs))
    agent = np.mean(by_run(NINE, "prior", "sac-refine-3", "correct"))
    assert agent > max(np.mean(shares) for shares in runs.values())
    assert (
        f"Over all nine runs it gives {100 * agent:.1f} %. Steps of {', '.join(rates)} and {greatest} of the bound "
        f"(`--gradient-rate`) give {', '.join(first)} and {last} %" in RECIPE
    )


def test_the_pages_say_what_trying_the_opposite_adds():
    trials = " ".join((DOCS / "trials.md").read_text(encoding="utf-8").split())
    for sampler in ("prior", "rejection"):
        both = (by_run(name, sampler, "sac-refine-3", "correct") for name in ("faster", "rejection/random-next"))
        found = student([100 * (now - before) for now, before in zip(*both, strict=True)])
        assert f"{found.value:.1f}" == "0.1"
        assert found.low < 0 < found.high
    assert "were right: 0.1 points less each, which three runs cannot tell from none" in trials
    assert "In the recorded runs this added 0.1 points" in RECIPE


def test_the_pages_say_how_many_hands_are_right_by_eye():
    assert "99, 100 and 98 are right." in RECIPE
    right = wilson(99 + 100 + 98, 300)
    share, low, high = (f"{100 * value:.1f}" for value in (right.share, right.low, right.high))
    assert f"By eye, 297 of 300 are {share} % ({low} to {high})." in RECIPE
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    assert "By eye, 297 of 300 like the last row are right." in readme


def test_the_recipe_s_page_says_what_the_agent_of_before_gave():
    shares = (by_run("rejection/unshifted", each, "sac-refine-3", "correct") for each in ("prior", "rejection"))
    words = "the agent gave {:.1f} % on the prior and {:.1f} % with rejection**"
    assert words.format(*(100 * np.mean(share) for share in shares)) in RECIPE
    for sampler in ("prior", "rejection"):  # the same VAEs, priors and latents
        runs = [by_run(f"rejection/{name}", sampler, "none", "correct") for name in ("retrained", "unshifted")]
        assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("retrained", "the agent {} % are right and {} % new, coverage is {} and the kernel distance {} ("),
        ("repeated", "agent {} % are right, {} % are new, coverage is {}, the kernel distance {} and sharpness {} ("),
    ],
)
def test_the_recipe_s_page_says_what_three_runs_before_and_after_gave(record, said):
    def mean(sampler, agent, name="correct", digits=1, times=100):
        return f"{times * np.mean(by_run(f'rejection/{record}', sampler, agent, name)):.{digits}f}"

    figures = (("correct",), ("new",), ("coverage", 2, 1), ("kernel_distance", 1, 1000), ("sharpness", 2, 1))
    assert said.format(*(mean("rejection", "sac-refine-3", *figure) for figure in figures)) in RECIPE
    prior = [mean("prior", agent) for agent in ("none", "sac-refine-3")]
    assert "The prior gives {} % as drawn and {} % with the agent.".format(*prior) in RECIPE


def test_the_recipe_s_page_says_how_the_runs_after_differ():
    figures = (("correct",), ("new",), ("coverage", 2, 1), ("kernel_distance", 1, 1000))
    found = [change("rejection", "sac-refine-3", *f, record="rejection/repeated", before="varied") for f in figures]
    words = "in the table by {} points {}, new ones by {} {}. Coverage differs by {} {}, the kernel distance by {} {}."
    assert words.format(*(part for each in found for part in each)) in RECIPE


def test_the_model_card_says_what_the_recipe_gives():
    card = model_card({"data": "11k-hands", "seed": 0, "size": 128, "latent_dim": 300}, CARD, None)
    new, right = (100 * np.mean(by_run("varied", "rejection", "sac-refine-3", name)) for name in ("new", "correct"))
    assert (
        f"In three runs with the recipe's defaults, {100 - new:.1f} % of hands were near-copies of a photograph" in card
    )
    assert f"With the agent {right:.1f} % were correct." in card


def test_the_recipe_s_page_says_what_larger_pictures_and_hotter_latents_change():
    new, interval = change("rejection", "sac-refine-3", "new", record="varied", before="rejection/hotter")
    assert f"has {new} points more new hands than that {interval}" in RECIPE
    density, interval = change("rejection", "sac-refine-3", "density", 2, 1, record="varied", before="rejection/hotter")
    assert f"They add density, {density} {interval[:-1]}" in RECIPE
    right, interval = change("prior", "none", "correct", record="varied", before="faster")
    assert f"right hands differ by {right} points {interval}" in RECIPE
