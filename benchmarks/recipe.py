"""Measure a step of the recipe's VAE on a GPU: as CUDA graphs, and launched kernel by kernel.

    python benchmarks/recipe.py [--blocks 8] [--profile]

Both train the same large VAE of 128 pixels on batches of 160 drawn hands, in turns, in blocks of 24 steps. There are
three kinds of steps: without critics, with the critics of patches, and with those of features too. Prints the median
milliseconds of a step of each, the median of the blocks' ratios with its quartiles, and what a whole recipe's 9,000
steps take. The terms of the loss of both are compared after five steps from the same weights: they are the same within
rounding. `--profile` prints the kernels that take longest.
"""

import argparse
import statistics
import time

import torch
from torch.profiler import ProfilerActivity, profile

from vae.adversarial.batches import Batches
from vae.adversarial.training import AHEAD, AdversarialConfig, AdversarialTrainer
from vae.images.labelled.drawn import draw_right_hands
from vae.images.labelled.hands import Hands
from vae.model import VAEConfig

HANDS = 2000
STEPS = 3 * AHEAD  # in a block
CONFIG = AdversarialConfig()
KINDS = {  # the share of the training at which they are measured, and their share of all steps
    "no critics": (0.05, CONFIG.patches_from),
    "critics of patches": (0.41, CONFIG.features_from - CONFIG.patches_from),
    "of features too": (0.7, 1 - CONFIG.features_from),
}


def trainer(hands: Hands, graphed: bool) -> AdversarialTrainer:
    """Build a trainer whose photographs are half of the drawn hands."""
    half = HANDS // 2
    batches = Batches(hands.take(slice(half)).to("cuda"), hands.take(slice(half, HANDS)).to("cuda"))
    return AdversarialTrainer(CONFIG, VAEConfig(128, 300, "large"), batches, "cuda", graphed)


def begin(run: AdversarialTrainer, share: float) -> None:
    """Go to a share of the training, at the start of a group of batches."""
    run.steps, run._ready = round(share * CONFIG.steps) // AHEAD * AHEAD, []


def block(run: AdversarialTrainer) -> float:
    """Return the milliseconds of a step, the mean of a block."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(STEPS):
        run.step()
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - began) / STEPS


def compare(hands: Hands, share: float) -> float:
    """Return the largest relative difference of a term of the loss, five steps from the same weights."""
    runs = [trainer(hands, graphed) for graphed in (True, False)]
    for run in runs:
        begin(run, share)
    terms = [[{k: float(v) for k, v in run.step().items()} for _ in range(5)] for run in runs]  # the last two replayed
    pairs = [(graphed[name], eager[name]) for graphed, eager in zip(*terms, strict=True) for name in graphed]
    return float(max(abs(graphed - eager) / max(abs(eager), 0.01) for graphed, eager in pairs))


def main() -> None:
    """Measure all kinds of steps and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    hands = draw_right_hands(HANDS, seed=1)
    print(f"{torch.cuda.get_device_name()}: 128 pixels, batches of {CONFIG.batch}")
    graphed, eager = trainer(hands, True), trainer(hands, False)
    whole = [0.0, 0.0]
    for name, (share, weight) in KINDS.items():
        for run in (graphed, eager):
            begin(run, share)
            block(run)  # warm up and capture
        times = [(block(graphed), block(eager)) for _ in range(args.blocks)]
        quartiles = statistics.quantiles([slow / fast for fast, slow in times], n=4)
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        whole = [total + weight * CONFIG.steps * ms / 1e3 for total, ms in zip(whole, medians, strict=True)]
        print(
            f"{name:>20}: graphed {medians[0]:.1f} ms, eager {medians[1]:.1f} ms, ratio {quartiles[1]:.2f} "
            f"(quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f}, {args.blocks} blocks of {STEPS}); "
            f"terms differ by at most {compare(hands, share):.1e}",
            flush=True,
        )
        if args.profile:
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                block(graphed)
            print(seen.key_averages().table(sort_by="self_device_time_total", row_limit=12, max_name_column_width=60))
    print(f"{CONFIG.steps} steps: graphed {whole[0]:.0f} s, eager {whole[1]:.0f} s")


if __name__ == "__main__":
    main()
