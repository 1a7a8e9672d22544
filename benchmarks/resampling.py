"""Measure what resampling takes from the photographs that the recipe's VAE and its critics see.

Run `python benchmarks/resampling.py --data path/to/11k-hands`; it takes about 2 minutes on two cores. It frames and
lights 500 photographs of training people as the recipe's batches do, without moving fingers, and compares them with the
photographs of the test people. The columns are those of `handlatent compare`.
"""

import argparse
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from hand_env.anatomy.measures import sharpness
from vae.adversarial.batches import Batches
from vae.device import resolve_device
from vae.distribution import MEASURES, NETWORKS, PictureFeatures, coverage_and_density, kernel_distance
from vae.images import SPLIT_SEED, load_hands11k, split_by_group, to_float
from vae.images.labelled.hands import CANVAS, IGNORE, correct_hands
from vae.images.labelled.vocabulary import JOINTS

N = 500
Mode = Literal["bilinear", "bicubic"]


def framed(photographs: Tensor, mode: Mode) -> Tensor:
    """Return the pictures of a batch, (n, 3, S, S) float, made of (n, 3, S, S) uint8 photographs."""
    n, side = len(photographs), photographs.shape[-1]
    regions = torch.full((n, side, side), IGNORE, dtype=torch.uint8)
    hands = correct_hands(photographs, regions, torch.full((n, JOINTS, 2), torch.nan))
    return Batches(hands, hands, posed=0.0, mode=mode).batch(n, 0, Generator().manual_seed(0)).images


def main() -> None:
    """Print a line for the photographs as they are, and one for each way of resampling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the 11k Hands download")
    parser.add_argument("--features", choices=NETWORKS, default=MEASURES, help="the network that measures")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    features = PictureFeatures(args.features, resolve_device(args.device))
    found = load_hands11k(args.data, CANVAS, irregularities="exclude")
    split = split_by_group(found.groups, found.all_groups, seed=SPLIT_SEED)
    order = torch.randperm(len(split.train), generator=Generator().manual_seed(0))
    chosen, others = found.pixels[split.train[order[:N]]], to_float(found.pixels[split.test])
    theirs, usual = features(others).numpy(), sharpness(others).median()
    pictures = {"as they are": to_float(chosen), **{mode: framed(chosen, mode) for mode in get_args(Mode)}}
    print(f"{'':14}sharpness  kernel distance x 1,000  coverage  density")
    for name, images in pictures.items():
        own = features(images).numpy()
        coverage, density = coverage_and_density(own, theirs)
        distance = 1e3 * kernel_distance(own, theirs).value
        steep = float(sharpness(images).median() / usual)
        print(f"{name:14}{steep:9.3f}  {distance:23.1f}  {coverage.value:8.2f}  {density.value:7.2f}")


if __name__ == "__main__":
    main()
