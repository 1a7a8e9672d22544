"""The figures by the judges that benchmarks, tutorial and a model card quote are those of their records."""

import json
import re
from dataclasses import replace
from pathlib import Path

import torch

from agents.commands.judge.command import describe
from hand_env.anatomy import judge_images

DOCS = Path(__file__).parent.parent / "docs"


def test_the_figures_of_the_weights_synthetic_are_those_of_their_record():
    rows = json.loads((DOCS / "recipe" / "synthetic.json").read_text(encoding="utf-8"))["table"]
    drawn, corrected = (
        next(row["figures"] for row in rows if (row["sampler"], row["agent"]) == ("prior", agent))
        for agent in ("none", "sac-refine-3")
    )

    def said(figures, name="correct", space=""):
        share, low, high = (100 * figures[name][part] for part in ("value", "low", "high"))
        return f"{share:.1f}{space}% ({low:.1f} to {high:.1f})"

    recipe, benchmarks, card = (
        " ".join((DOCS.parent / name).read_text(encoding="utf-8").split())
        for name in ("docs/recipe.md", "docs/benchmarks.md", "agents/weights/synthetic/README.md")
    )
    assert f"correct | {said(drawn, space=' ')} | {said(corrected, space=' ')} | `handlatent compare" in benchmarks
    for way, figures in (("as drawn from the prior", drawn), ("as corrected by the agent in 3 rounds", corrected)):
        assert f"| {way} | {said(figures)} | {said(figures, 'anatomical')} |" in card
    right = [f"{100 * figures['correct']['value']:.1f} %" for figures in (drawn, corrected)]
    assert f"{right[0]} of their hands are correct as drawn and {right[1]} with the agent" in recipe
    assert f"the kernel distance to photographs is {1000 * corrected['kernel_distance']['value']:.0f}," in recipe
    assert drawn["coverage"]["value"] == corrected["coverage"]["value"] == 0
    assert drawn["new"]["value"] == corrected["new"]["value"] == 1


def test_the_figures_of_the_judges_are_those_of_the_judge_s_page():
    benchmarks, page = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("benchmarks", "judge"))

    def least(judge, kind):
        """The lowest rate of the lines of a kind, at 64 pixels and at 128."""
        shares = []
        for size in (64, 128):
            (block,) = re.findall(rf"^{judge}, {size} pixels\n(.*?)^```", page, re.S | re.M)
            found = re.findall(rf"^{kind} +([\d.]+)%", block, re.M)
            assert len(found) in (1, 6, 8)
            shares.append(min(map(float, found)))
        return "{:.1f} % ({:.1f} %)".format(*shares)

    edits, wrong = r"photographs, (?!in a new frame).*?", "synthetic, .*?"
    for kind, form in (
        ("photographs", "| {} of 159 by the rewarding judge, {} by the reporting judge; from 16 people |"),
        (edits, "| {} of 96, {} |"),
        (wrong, "| {} of 300, {} |"),
    ):
        assert form.format(least("parser", kind), least("reporter", kind)) in benchmarks


def test_the_figures_of_hands_in_scenes_are_those_of_their_tables():
    benchmarks, page = (
        " ".join((DOCS / f"{name}.md").read_text(encoding="utf-8").split()) for name in ("benchmarks", "judge")
    )

    def row(judge, name):
        """The counts of right hands accepted and of wrong hands rejected, and the balanced accuracy as printed."""
        (block,) = re.findall(rf"``` {judge}, 128 pixels, in scenes (.*?)```", page)
        found = re.search(rf" {name} [\d.]+% \((\d+) of (\d+);.*?\((\d+) of (\d+);.*?\) [^)]*\) ([\d.]+)% ", block)
        *counts, balanced = found.groups()
        accepted, right, rejected, wrong = map(int, counts)
        assert f"{50 * (accepted / right + rejected / wrong):.1f}" == balanced
        return accepted, right, balanced

    clutter, plain = "cluttered ground, large or small", "small, plain ground"
    conditions = "large, cluttered ground", plain, "small, cluttered ground"
    both = [[row(judge, name)[2] for judge in ("parser", "reporter")] for name in (clutter, plain)]
    form = "| {} % by the rewarding judge, {} % by the reporting judge; small on a plain ground {} %, {} % |"
    assert form.format(*both[0], *both[1]) in benchmarks
    assert "in each condition: {}, {} and {} %.".format(*(row("parser", name)[2] for name in conditions)) in page
    assert f"together it has {both[0][0]} %. On the three real photographs alone it has " in page
    photographs = row("parser", "validation's photographs")[2]
    assert f"alone it has {photographs} %, below 85 %" in page
    assert f"reaches {both[1][1]} % on a plain ground, but only {both[0][1]} % on clutter." in page
    accepted, right, _ = row("reporter", clutter)
    assert f"It rejects {right - accepted} of {right} right hands there." in page
    kinds = "textures of training's kinds", "unused pictures"
    shares = [f"{100 * accepted / right:.1f} %" for accepted, right, _ in (row("reporter", kind) for kind in kinds)]
    assert "accepts {} of the right hands, but {} on unused pictures".format(*shares) in page
    for judge in ("parser", "reporter"):
        (block,) = re.findall(rf"``` {judge}, 128 pixels, in scenes (.*?)```", page)
        lost, sure = re.search(r"right hands rejected: (\d+), trusted: (\d+)", block).groups()
        assert f"about {sure} of its {lost}" in page
        assert len(set(row(judge, plain)[:2])) == 1  # on a plain ground, no right hand is rejected


def test_the_figures_of_the_tutorial_are_those_of_its_record():
    page = " ".join((DOCS / "tutorial.md").read_text(encoding="utf-8").split())
    record = json.loads((DOCS / "tutorial" / "figures.json").read_text(encoding="utf-8"))

    def rate(found):
        return f"{100 * found['share']:.1f} %", f"({100 * found['low']:.1f} to {100 * found['high']:.1f})"

    assert "calls {} of the 200 hands correct {}".format(*rate(record["mine"]["correct"])) in page
    acted, alone = (rate(record[name]["correct"]) for name in ("acted-hands", "mine"))
    assert f"calls {acted[0]} of the 200 hands correct {acted[1]}, instead of {alone[0]}" in page
    stages = record["refine"]["before"], record["refine"]["after"]
    assert record["refine"]["latents"] == 100
    scores = " | ".join(f"{stage['rewarding_judge_score']:.2f}" for stage in stages)
    assert f"in log-odds | {scores} |" in page
    right = " | ".join(" ".join(rate(stage["reporting_judge"]["correct"])) for stage in stages)
    assert f"which no training used | {right} |" in page


def test_the_tutorial_prints_what_the_judge_prints():
    seen = judge_images(torch.zeros(1, 3, 64, 64))[0]
    right = replace(seen, anatomical=True, correct=True, trusted=True, failures=(), doubts=())
    printed = describe([right] * 20, 20)
    (block,) = re.findall(r"It prints\n\n```\n(pictures.*?)\n```", (DOCS / "tutorial.md").read_text(), re.DOTALL)
    assert re.sub(r"0\.\d{3}", "", block).splitlines() == re.sub(r"0\.\d{3}", "", printed).splitlines()
