"""The figures by the judges that benchmarks, tutorial and a model card quote are those of their records."""

import json
import re
from pathlib import Path

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
