"""Measure a step of the recipe's VAE on a GPU: CUDA graphs, with a compiled perceptual distance or without, and eager.

    python benchmarks/recipe.py [--blocks 8] [--profile]

"Fused" is what the recipe does: torch.compile joins the small kernels of the perceptual distance, and the step is a
CUDA graph. All three train the same large VAE of 128 pixels on batches of 160 synthetic hands, in turns, in blocks of
24 steps. There are three kinds of steps: without critics, with the critics of patches, and with those of features too.
Prints the median milliseconds of a step of each and the median of the blocks' ratios with its quartiles. At the end it
prints what a whole recipe's 8,000 steps take, with the first steps, which compile and capture. The fused trainer comes
first and chooses cuDNN's kernels for all. The terms of the loss in five steps from the same weights are compared with
the eager ones. It also counts the floating-point operations of a step, and prints how many the GPU does per second,
beside those of a large matrix product. `--profile` prints the kernels that take longest.
"""

import argparse
import statistics
import time

import torch
from operations import per_second
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from vae.adversarial.batches import Batches
from vae.adversarial.training import AHEAD, AdversarialConfig, AdversarialTrainer
from vae.images.labelled.hands import Hands
from vae.images.labelled.synthetic_pool import render_right_hands
from vae.model import VAEConfig

HANDS = 2000
STEPS = 3 * AHEAD  # in a block
CONFIG = AdversarialConfig()
KINDS = {  # the share of the training at which they are measured, and their share of all steps
    "no critics": (0.05, CONFIG.patches_from),
    "critics of patches": (0.41, CONFIG.features_from - CONFIG.patches_from),
    "of features too": (0.7, 1 - CONFIG.features_from),
}


WAYS = {"fused": (True, True), "graphs": (True, False), "eager": (False, False)}  # graphed, fused


def trainer(hands: Hands, graphed: bool, fused: bool) -> AdversarialTrainer:
    """Build a trainer whose photographs are half of the synthetic hands."""
    half = HANDS // 2
    batches = Batches(hands.take(slice(half)).to("cuda"), hands.take(slice(half, HANDS)).to("cuda"))
    return AdversarialTrainer(CONFIG, VAEConfig(128, 300, "large"), batches, "cuda", graphed, fused)


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


def terms(hands: Hands, share: float, way: tuple[bool, bool]) -> list[dict[str, float]]:
    """Return the terms of the loss of five steps from the same weights; graphs replay the last two."""
    run = trainer(hands, *way)
    begin(run, share)
    return [{name: float(term) for name, term in run.step().items()} for _ in range(5)]


def differ(found: list[dict[str, float]], expected: list[dict[str, float]]) -> float:
    """Return the largest relative difference of a term of the loss."""
    pairs = [(a[name], b[name]) for a, b in zip(found, expected, strict=True) for name in b]
    return max(abs(a - b) / max(abs(b), 0.01) for a, b in pairs)


def operations(run: AdversarialTrainer) -> float:
    """Count the floating-point operations of an eager step, those on channels of zeros (`AlignedConv2d`) included."""
    run.step()  # makes the batches
    with FlopCounterMode(display=False) as counter:
        run.step()
    return float(counter.get_total_flops())


def main() -> None:
    """Measure all kinds of steps and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/recipe.py needs a GPU, and torch finds none. Run it on a machine that has one.")
    hands = render_right_hands(HANDS, seed=1)
    peak = per_second("cuda")
    print(
        f"{torch.cuda.get_device_name()}: 128 pixels, batches of {CONFIG.batch}; "
        f"a matrix product does {peak / 1e12:.0f} TFLOP/s"
    )
    runs = {name: trainer(hands, *way) for name, way in WAYS.items()}
    whole = dict.fromkeys(WAYS, 0.0)
    for kind, (share, weight) in KINDS.items():
        for name, run in runs.items():
            begin(run, share)
            whole[name] += (block(run) - block(run)) * STEPS / 1e3  # the first block compiles and captures
        blocks = [{name: block(run) for name, run in runs.items()} for _ in range(args.blocks)]
        medians = {name: statistics.median(each[name] for each in blocks) for name in WAYS}
        expected = terms(hands, share, WAYS["eager"])
        rate = operations(runs["eager"]) / medians["fused"] * 1e3
        print(f"{kind}: fused {medians['fused']:.1f} ms, {rate / 1e12:.0f} TFLOP/s, {rate / peak:.0%} of the product's")
        for name in ("graphs", "eager"):
            low, middle, high = statistics.quantiles([each[name] / each["fused"] for each in blocks], n=4)
            print(f"  {name}: {medians[name]:.1f} ms, {middle:.2f} times fused (quartiles {low:.2f} to {high:.2f})")
        for name in ("fused", "graphs"):
            print(
                f"  terms of {name} differ by at most {differ(terms(hands, share, WAYS[name]), expected):.1e}",
                flush=True,
            )
        for name in WAYS:
            whole[name] += weight * CONFIG.steps * medians[name] / 1e3
        if args.profile:
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                block(runs["fused"])
            print(seen.key_averages().table(sort_by="self_device_time_total", row_limit=12, max_name_column_width=60))
    print(
        f"{CONFIG.steps} steps with the first: " + ", ".join(f"{name} {total:.0f} s" for name, total in whole.items())
    )


if __name__ == "__main__":
    main()
