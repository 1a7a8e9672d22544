"""Measure what storing packaged weights as int8 changes in the hands that are drawn with them.

Run `python benchmarks/int8.py`; it takes about five minutes on one CPU core. Each line of the table draws the same
hands as the first, from the same noise, with other parts of the set rounded; `handlatent package` rounds encoder and
decoder. The hands are those of the prior alone. With rejection, rounding would make the classifier accept other
latents, and all hands behind them would change places. The difference of correct hands is paired. Its interval is
Wald's with half a hand added to each of the four cells (Agresti & Min 2005), so it has a width where no verdict
changes. Pixels are in levels of 0 to 255.

Parts that are int8 already do not change, so for a set that was packed as int8, name the run that it was packed from.

--refine lets the agent correct the hands. --picture writes the 20 hands that change most: first as they were, below
each row with encoder and decoder as int8.
"""

import argparse
import copy
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents import draw_hands
from agents.runs.manifest import HALVES
from agents.runs.packaged import load_packaged, read_run
from agents.runs.run import Run
from hand_env import image_grid
from hand_env.anatomy import wilson
from hand_env.rendering import enlarged
from vae.images.overview import save_overview
from vae.quantisation.int8 import quantised, restored
from vae.sampling.flow import FlowPrior
from vae.sampling.reencoded import Reencoded

PARTS = (
    ("encoder",),
    ("encoder", "prior"),
    ("encoder", "decoder"),
    ("encoder", "prior", "decoder"),
)
HEADS = (
    *("int8", "correct %", "difference, points", "verdicts that change"),
    *("largest pixel difference, mean of hands", "largest of all", "mean pixel difference"),
)


def module(run: Run, part: str) -> nn.Module:
    """Return the network that is a part of a set."""
    if part != "prior":
        half: nn.Module = getattr(run.vae, part)
        return half
    prior = run.samplers["prior"]
    assert isinstance(prior, Reencoded)
    assert isinstance(prior.sampler, FlowPrior)
    return prior.sampler.velocity


def rounded(run: Run, parts: tuple[str, ...]) -> Run:
    """Return a copy of a set with some of its parts as int8 would store them."""
    changed = copy.deepcopy(run)
    for part in parts:
        network = module(changed, part)
        network.load_state_dict(restored(quantised(network.state_dict())))
    return changed


def draw(run: Run, args: argparse.Namespace) -> tuple[Tensor, NDArray[np.bool_]]:
    """Draw (n, 3, S, S) uint8 hands, and say which the reporting judge finds correct."""
    hands = draw_hands(args.n, seed=args.seed, run=run, refine=args.refine, sampler="prior")
    return hands.images, np.array([judgement.correct for judgement in hands.judgements])


def difference(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> str:
    """Write the difference of two shares of the same hands in percentage points, with its 95 % interval."""
    n, gained, lost = len(before), int((~before & after).sum()), int((before & ~after).sum())
    centre = (gained - lost) / (n + 2)
    half = 1.96 * math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    return f"{100 * (gained - lost) / n:+.1f} ({100 * (centre - half):+.1f} to {100 * (centre + half):+.1f})"


def line(cells: list[str]) -> str:
    """Write a row of the table."""
    return "| " + " | ".join(cells) + " |"


def rate(correct: NDArray[np.bool_]) -> str:
    """Write the share of correct hands in % with its interval."""
    found = wilson(int(correct.sum()), len(correct))
    return f"{100 * found.share:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def save_pairs(path: Path, before: Tensor, after: Tensor, most: Tensor) -> None:
    """Write the hands that change most, ten a row, with the changed ones below each row."""
    rows = torch.cat([part for ten in torch.split(most, 10) for part in (before[ten], after[ten])])
    save_overview(path, image_grid(enlarged(rows), columns=10))


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run or a set; default: the packaged weights")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refine", action="store_true")
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    run = read_run(args.run) if args.run else load_packaged()
    print(line(list(HEADS)) + "\n" + line(["---"] * len(HEADS)))
    images, correct = draw(run, args)
    print(line(["none", rate(correct), "", "", "", "", ""]), flush=True)
    for parts in PARTS:
        changed, now = draw(rounded(run, parts), args)
        apart = (changed.short() - images.short()).abs().flatten(1)
        largest = apart.amax(1)
        pixels = [f"{largest.float().mean():.1f}", str(int(largest.max())), f"{apart.float().mean():.3f}"]
        switched = str(int((now != correct).sum()))
        print(line([", ".join(parts), rate(now), difference(correct, now), switched, *pixels]), flush=True)
        if args.picture is not None and parts == HALVES:
            save_pairs(args.picture, images, changed, apart.float().mean(1).argsort(descending=True)[:20])


if __name__ == "__main__":
    main()
