"""Measure the kernel distance, coverage and density of photographs whose difference is known.

Run `python benchmarks/distances.py --data path/to/11k-hands`; it takes several minutes on one core, seconds on a GPU.
Each line changes 500 photographs of training people in one way and compares them with two sets of photographs. The
first set is 500 others of the same people: without a change, its distance should be 0. The second set is all of the
test people, as `handlatent compare` does with samples.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.device import resolve_device
from vae.distribution import MEASURES, NETWORKS, PictureFeatures, coverage_and_density, kernel_distance
from vae.images import SPLIT_SEED, load_hands11k, split_by_group, to_float

N = 500


def resized_and_back(pictures: Tensor, side: int) -> Tensor:
    """Shrink (n, 3, S, S) pictures, then enlarge them to their old size."""
    small = F.interpolate(pictures, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
    return F.interpolate(small, size=pictures.shape[-2:], mode="bicubic").clamp(0, 1)


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Blur (n, 3, S, S) pictures with a Gaussian of `sigma` pixels."""
    reach = int(3 * sigma) + 1
    kernel = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    across = F.conv2d(F.pad(pictures, (reach, reach, 0, 0), mode="replicate"), kernel, groups=3)
    return F.conv2d(F.pad(across, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3), groups=3)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "as they are": lambda x: x,
    "mirrored": lambda x: x.flip(3),
    "down to 128 pixels and back": lambda x: resized_and_back(x, 128),
    "down to 64 pixels and back": lambda x: resized_and_back(x, 64),
    "blurred, sigma 3 of 224 pixels": lambda x: blurred(x, 3 * x.shape[-1] / 224),
}


def main() -> None:
    """Print a line for each change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the 11k Hands download")
    parser.add_argument("--size", type=int, default=224, help="pixels a side of the photographs")
    parser.add_argument("--features", choices=NETWORKS, default=MEASURES, help="the network that measures")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    features = PictureFeatures(args.features, resolve_device(args.device))
    hands = load_hands11k(args.data, args.size)
    split = split_by_group(hands.groups, hands.all_groups, seed=SPLIT_SEED)
    order = torch.randperm(len(split.train), generator=torch.Generator().manual_seed(0))
    chosen, others = (hands.pixels[split.train[some]] for some in (order[:N], order[N : 2 * N]))
    same, strangers = (features(to_float(x)).numpy() for x in (others, hands.pixels[split.test]))
    title = NETWORKS[args.features].title
    print(f"{title}, {args.size} pixels; kernel distance x 1,000 with its 95 % interval; coverage, density with k = 5")
    print(f"{'':32}{'others of the same people':28}{'the test people':28}coverage  density")
    for name, change in CHANGES.items():
        found = torch.cat([features(change(to_float(chunk))) for chunk in torch.split(chosen, 50)]).numpy()
        distances = [kernel_distance(found, base) for base in (same, strangers)]
        coverage, density = coverage_and_density(found, strangers)
        cells = [f"{1e3 * d.value:6.1f} ({1e3 * d.low:.1f} to {1e3 * d.high:.1f})" for d in distances]
        print(f"{name:32}{cells[0]:28}{cells[1]:28}{coverage.value:8.2f} {density.value:8.2f}")


if __name__ == "__main__":
    main()
