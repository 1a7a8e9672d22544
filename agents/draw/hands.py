"""Draw hands from the packaged weights or from a run of your own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from agents.rl.row_agent import REFINE_BELOW, ROUNDS
from agents.runs.packaged import load_packaged
from agents.runs.run import REJECTION, Run
from hand_env import LogitScore, best_of, image_grid
from hand_env.anatomy import Judge, Judgement
from hand_env.rendering import captioned, enlarged
from vae.checks import LARGEST_SEED, check_not_nan, integer
from vae.evaluation import decode_all
from vae.images import to_float
from vae.images.overview import save_overview
from vae.torch_modes import usual_modes


@dataclass(frozen=True, eq=False)
class DrawnHands:
    """Hands, how they were drawn, and the verdicts of the reporting judge.

    Attributes:
        images: (n, 3, S, S) uint8 on the CPU.
        latents: (n, D) float32 on the CPU, what the images are decoded from.
        record: How they were drawn, as plain values for JSON; "text" describes it in one sentence.
    """

    images: Tensor
    latents: Tensor
    record: dict[str, Any]

    @cached_property
    @usual_modes()
    def judgements(self) -> list[Judgement]:
        """One judgement per hand, by the reporting judge, which no training used; computed at first access."""
        return Judge.load(architecture="reporter").judge(to_float(self.images))


@usual_modes()
def draw_hands(
    n: int = 20,
    *,
    seed: int = 0,
    weights: str = "photographs",
    run: Run | None = None,
    sampler: str = "auto",
    best_of_k: int = 1,
    agent: bool = True,
    refine: bool = True,
    rounds: int = ROUNDS,
    refine_below: float = REFINE_BELOW,
) -> DrawnHands:
    """Draw new hands; the same arguments draw the same hands.

    Args:
        n: Number of hands, >= 1.
        seed: Seed of the latents, >= 0.
        weights: Packaged weights: "photographs", or in a checkout "synthetic", trained on synthetic hands only.
        run: A finished run to draw from instead of the packaged weights; see `load_run`.
        sampler: "rejection", "prior", "mixture", "normal" or "auto": the sampler that the refiner was trained on, or
            the run's best. "rejection" takes the place of "prior" if the run has it: selection by a
            classifier, not correction.
        best_of_k: Draw k latents for each hand and keep the one that the rewarding judge scores highest. This is
            selection, not correction; `record` says so.
        agent: Whether the run's agent acts on the latents.
        refine: Whether the run's refiner corrects the latents. A correction that does not raise the score is dropped,
            and its opposite is tried next, then a random one.
        rounds: How many times the refiner corrects a latent, >= 1.
        refine_below: The refiner corrects only hands that score below this, in log-odds of the rewarding judge.

    Returns:
        The hands.

    Raises:
        TypeError: If `run` is the folder of a run and no `Run`.
        ValueError: If a setting is wrong, or there is no finished run.
    """
    if run is not None and not isinstance(run, Run):
        raise TypeError(f"run must be a Run, got {run!r:.80}. Read one from its folder with load_run(folder).")
    n, best_of_k, rounds = integer("n", n, 1), integer("best_of_k", best_of_k, 1), integer("rounds", rounds, 1)
    seed = integer("seed", seed, 0, LARGEST_SEED)
    check_not_nan(refine_below=refine_below)
    loaded = load_packaged(weights) if run is None else run
    name, judge = loaded.sampler_name(sampler), LogitScore()
    if best_of_k > 1:
        latents, _ = best_of(loaded.samplers[name], best_of_k, n, seed, loaded.vae, judge)
    else:
        latents = loaded.samplers[name].sample(n, seed)
    acting = loaded.acts_on_drawn if agent else "none"
    if acting != "none":
        latents = loaded.act(latents)
    kept = None
    if refine and loaded.refiner is not None:
        refined = loaded.refiner.refine(latents, loaded.vae, judge, rounds, refine_below)
        latents, kept = refined.latents, int(refined.corrected.sum())
    record: dict[str, Any] = {"n": n, "seed": seed, "sampler": name, "best_of": best_of_k, "agent": acting}
    record |= {"refined": kept is not None, "rounds": None if kept is None else rounds}
    record |= {"refine_below": None if kept is None else str(refine_below), "corrected": kept}  # JSON has no infinity
    return DrawnHands(decode_all(loaded.vae, latents), latents, {**record, "text": _in_words(record)})


def draw_both(run: Run, n: int, seed: int, path: Path) -> None:
    """Draw the same latents without the agent (left) and, if it acts on drawn latents, with it (right), as one picture.

    Args:
        run: A finished run.
        n: Number of latents.
        seed: Seed of the latents.
        path: Where to write the PNG.
    """
    latents = run.samplers["mixture"].sample(n, seed)
    trained_with, name = run.settings["agent"], run.acts_on_drawn
    caption = "trained with the agent 'sac'" if trained_with == "sac" else "without an agent"
    sides = {caption: decode_all(run.vae, latents)}
    if name != "none":
        sides[f"the same latents, with the agent '{name}'"] = decode_all(run.vae, run.act(latents))
    panels = [captioned(image_grid(enlarged(pictures), columns=5), caption) for caption, pictures in sides.items()]
    save_overview(path, np.concatenate(panels, axis=1))


def _in_words(record: dict[str, Any]) -> str:
    source = f"from the sampler '{record['sampler']}'"
    if record["sampler"] == REJECTION:
        source += " (a classifier selects latents)"
    if record["best_of"] > 1:
        words = [f"{record['n']} hands, each the rewarding judge's best of {record['best_of']} draws {source}"]
    else:
        words = [f"{record['n']} hands drawn {source}"]
    if record["agent"] != "none":
        words.append(f"moved by the agent '{record['agent']}'")
    if record["refined"]:
        words.append(f"{record['corrected']} of them corrected by the refiner in up to {record['rounds']} rounds")
    return ", then ".join(words) + "."
