"""Count how many hands between two hands are right, along an arc of latents and along the straight line.

Run `python benchmarks/between.py`; it takes a minute on two cores. Each set of weights draws 20 pairs of hands; those
at 3/8 and 5/8 of the way count, by the reporting judge. The page of `handlatent demo` goes along the arc.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from agents.commands.demo.move_tab import spherical
from agents.runs.packaged import load_packaged
from hand_env.anatomy import judge_images
from vae.evaluation import decode_all
from vae.images import to_float

SHARES = (3 / 8, 5 / 8)
WAYS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"arc": spherical, "line": torch.lerp}


def count(weights: str, pairs: int) -> dict[str, int]:
    """Return the number of right hands of each way, of len(SHARES) * pairs."""
    run = load_packaged(weights)
    latents = run.samplers[run.sampler_name()].sample(2 * pairs, 0)
    found = {}
    for name, way in WAYS.items():
        between = [way(a, b, share) for a, b in zip(latents[::2], latents[1::2], strict=True) for share in SHARES]
        judged = judge_images(to_float(decode_all(run.vae, torch.stack(between))), architecture="reporter")
        found[name] = sum(each.correct for each in judged)
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", default=["photographs", "synthetic"])
    parser.add_argument("--pairs", type=int, default=20)
    args = parser.parse_args(words)
    for weights in args.weights:
        for way, right in count(weights, args.pairs).items():
            print(f"{weights}, along the {way}: {right} of {len(SHARES) * args.pairs} right")


if __name__ == "__main__":
    main()
