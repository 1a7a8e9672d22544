"""The model card of a set of weights, in the form that the Hugging Face hub reads: front matter, then text.

It has no `datasets`, since the hub has no data set of that name.
"""

import json
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from agents.command_line.shell_words import given
from agents.commands.package.model_index import model_index
from agents.commands.recipe.args import BEFORE, RecipeArgs
from agents.commands.refine.args import BEFORE as REFINED_BEFORE
from agents.commands.refine.args import RefineArgs


@dataclass(frozen=True)
class _Kind:
    """What a card says of the data."""

    front_matter: list[str]
    title: str
    terms: str
    limits: str


_DATA_SET = "https://sites.google.com/view/11khands"  # it says: free for reasonable academic fair use
_KINDS = {
    "11k-hands": _Kind(
        [
            "license: other",
            "license_name: 11k-hands-academic-use",
            f"license_link: {_DATA_SET}",
        ],
        "Hands, from photographs",
        f"The photographs are those of [11k Hands]({_DATA_SET}) (Afifi, 2019). They are for research, and so are these "
        "weights.",
        "The photographs show few people. In three runs with the recipe's defaults, 2.1 % of hands were near-copies of "
        "a photograph. With the agent 99.7 % were correct. These hands were drawn with rejection, as `generate` does. "
        "These weights need not be of those runs.",
    ),
    "synthetic": _Kind(
        ["license: mit"],
        "Hands, from synthetic hands alone",
        "Neither VAE nor prior learned from a photograph of a hand, so the weights are under the project's own "
        "licence.",
        "The hands look synthetic, like those that the VAE learned from.",
    ),
}


def model_card(settings: dict[str, Any], report: dict[str, Any], refined: dict[str, Any] | None) -> str:
    """Write a card.

    Args:
        settings: The run's settings, with its data named as a data set.
        report: The run's report.json.
        refined: Its refine.json; None where it has no refiner.

    Returns:
        Markdown.
    """
    data = settings["data"]
    kind = _KINDS[data]
    agent = "an agent that corrects latents before they are decoded" if refined else "no agent"
    accepted = report.get("rejection", {}).get("accepted")  # runs of earlier versions have none
    classifier = f" A classifier accepts {accepted:.0%} of the prior's latents." if accepted else ""
    pictures = report["pictures"]
    photographs = f"{pictures['photographs']:,} photographs and " if pictures["photographs"] else ""
    learned = f"{photographs}{pictures['drawn']:,} synthetic hands"
    lines = [
        "---",
        "library_name: handlatent",
        "pipeline_tag: unconditional-image-generation",
        "tags: [hands, variational-autoencoder, reinforcement-learning, stable-baselines3]",
        *kind.front_matter,
        *([] if refined is None else [_index(kind, refined["held_out"])]),
        "---",
        "",
        f"# {kind.title}",
        "",
        f"A VAE of {settings['latent_dim']} latents that draws hands, {settings['size']} pixels a side, "
        f"a learned prior, and {agent}.{classifier}",
        "",
        "## Use",
        "",
        "On the command line: `handlatent generate path/to/this/folder --n 20 --out hands`. In Python: "
        '`agents.load_packaged("path/to/this/folder")`. The sets of handlatent also have names: '
        "`handlatent generate --weights photographs` and, in a checkout, `--weights synthetic`.",
        "",
        "## Data and licence",
        "",
        f"{learned}. {kind.terms}{_judge_s_part(report, refined) if data == 'synthetic' else ''}",
        "",
        "## Training",
        "",
        ", then ".join(f"`{command}`" for command in _commands(settings, refined)) + ".",
        "",
        "## Measured",
        "",
        *_measured(refined),
        "",
        "## Limits",
        "",
        f"The pictures show one hand, fingers up, on a light ground. {kind.limits} The judge is a network and makes "
        "mistakes, so look at the pictures. `handlatent compare` measures which share of hands is new, how sharp they "
        "are and how far from photographs.",
        "",
    ]
    return "\n".join(lines)


def _judge_s_part(report: dict[str, Any], refined: dict[str, Any] | None) -> str:
    """Say what the package's judge did for a set of synthetic hands, or nothing."""
    if refined:
        did = "paid the agent, and it is asked again for each correction"
    elif report.get("selection", {}).get("log") or report.get("rejection", {}).get("accepted"):
        did = "selected latents that the sampler learned from"
    else:
        return ""
    return f" The package's rewarding judge {did}. That judge did learn from photographs."


def _index(kind: _Kind, held_out: dict[str, Any]) -> str:
    """Write what was measured on one line of JSON, which is YAML too."""
    measured = {way: held_out[stage]["reporting_judge"] for way, stage in _ways(held_out).items()}
    found = model_index(kind.title, "the reporting judge", held_out["latents"], measured)
    return f"model-index: {json.dumps(found)}"


def _ways(held_out: dict[str, Any]) -> dict[str, str]:
    """Return each way to draw hands, in words, with its name in refine.json."""
    return {
        "as drawn from the prior": "before",
        f"as corrected by the agent in {held_out['rounds']} rounds": "after",
    }


def _commands(settings: dict[str, Any], refined: dict[str, Any] | None) -> list[str]:
    """Spell the commands that a set came from, the photographs' folder left open."""
    known = {item.name for item in fields(RecipeArgs)} - {"data"}
    data = "path/to/11k-hands" if settings["data"] == "11k-hands" else settings["data"]
    recipe = RecipeArgs(data, **{name: value for name, value in {**BEFORE, **settings}.items() if name in known})
    commands = [["recipe", *given(recipe)]]
    if refined is not None:
        learned = {**REFINED_BEFORE, **refined["settings"]}
        own = RefineArgs(Path("RUN"), **{**learned, "refine_below": float(learned["refine_below"])})
        by_recipe = RefineArgs(
            Path("RUN"),
            recipe.refine_samples,
            recipe.refine_rows,
            width=recipe.refine_width,
            sampler=own.sampler,
            delta_scale=recipe.delta_scale,
            seed=recipe.seed,
        )
        if own != by_recipe:
            commands = [["recipe", *given(replace(recipe, refine_samples=0))], ["refine", *given(own)]]
    return [shlex.join(["handlatent", *words]) for words in [*commands, ["package", "RUN"]]]


def _measured(refined: dict[str, Any] | None) -> list[str]:
    if refined is None:
        return ["Nothing: there is no refiner. `handlatent compare` measures a run."]
    held_out = refined["held_out"]
    rows = [
        f"By the reporting judge, which no training used, on {held_out['latents']:,} latents, with 95 % intervals:",
        "",
        "| | correct | anatomical |",
        "| --- | --- | --- |",
    ]
    for name, stage in _ways(held_out).items():
        rates = held_out[stage]["reporting_judge"]
        rows.append(f"| {name} | {_rate(rates['correct'])} | {_rate(rates['anatomical'])} |")
    return rows


def _rate(rate: dict[str, Any]) -> str:
    return f"{rate['share']:.1%} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
