"""Measure what `handlatent compare` gains on the CPU by drawing latents once, and by its features' memory format.

Run `python benchmarks/compare.py`; it takes a few minutes. It prints three ratios:

- methods: 20 pictures from the packaged weights' learned prior, uncorrected and corrected by each of three agents, are
  judged and their features computed. Latents are drawn again for each method, or drawn once and remembered;
- gradient: three gradient steps from those latents, on all of them or only on those whose hands the judge doubts;
- features: those of 16 pictures, in the contiguous format or in the channels-last format of `PictureFeatures`.

Both sides of a ratio take turns, after one turn to warm up. Each line gives the median over turns of the ratio of their
times, with the smallest and the largest.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import torch

from agents.commands.compare import load_compared_run
from agents.commands.compare.args import CompareArgs
from agents.commands.compare.loaded_run import LoadedRun, Remembered
from agents.commands.compare.methods import ascended, decoded, make_methods
from hand_env.anatomy import Judge
from vae.distribution import PictureFeatures
from vae.images import to_float

TURNS, PICTURES = 5, 20
AGENTS = ["none", "random", "sac-refine", "gradient"]


def measured_methods(loaded: LoadedRun, parser: Judge, reporter: Judge, features: PictureFeatures) -> None:
    """Draw and correct hands, judge them and compute their features."""
    args = CompareArgs([], n=PICTURES, samplers=["prior"], agents=AGENTS, rounds=[1], gradient_steps=[1])
    for method in make_methods(loaded, lambda images: parser.find(images).score, args):
        assert method.correct is not None, "weights have a prior and a refiner"
        images = to_float(decoded(loaded, method.correct(loaded.samplers[method.sampler].sample(PICTURES, 0))))
        for judge in (parser, reporter):
            judge.judge(images)
        features(images)


def ratio(before: Callable[[], object], after: Callable[[], object]) -> str:
    """Time two functions in turns, and return how many times as fast the second is."""
    ratios = [_seconds(before) / _seconds(after) for _ in range(TURNS + 1)][1:]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times as fast"


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print a line for each ratio."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"{torch.get_num_threads()} CPU threads, median of {TURNS} turns", flush=True)
    loaded = load_compared_run(Path(str(resources.files("agents") / "weights" / "photographs")))
    prior = loaded.samplers["prior"]
    assert isinstance(prior, Remembered), "load_compared_run wraps each sampler in Remembered"
    parser, reporter, features = Judge.load(), Judge.load(architecture="reporter"), PictureFeatures()
    redrawn = replace(loaded, samplers={"prior": prior.sampler})

    def remembered() -> None:
        fresh = replace(loaded, samplers={"prior": Remembered(prior.sampler)})
        measured_methods(fresh, parser, reporter, features)

    print(f"methods: {ratio(lambda: measured_methods(redrawn, parser, reporter, features), remembered)}", flush=True)
    latents = prior.sample(PICTURES, 0)
    all_of_them, doubted = (
        ascended(loaded, lambda images: parser.find(images).score, 3, args)
        for args in (CompareArgs([], refine_below=math.inf), CompareArgs([]))
    )
    print(f"gradient: {ratio(lambda: all_of_them(latents), lambda: doubted(latents))}", flush=True)
    plain, images = PictureFeatures(), torch.rand(16, 3, 128, 128)
    plain.network.to(memory_format=torch.contiguous_format)
    print(f"features: {ratio(lambda: plain(images), lambda: features(images))}", flush=True)


if __name__ == "__main__":
    main()
