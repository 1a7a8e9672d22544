"""Measure how well a run's VAE reconstructs photographs, which limits what any prior can draw with it.

Run `python benchmarks/reconstructions.py RUN --data path/to/11k-hands`; it takes about 5 minutes on two cores. It
encodes and decodes photographs of training people, and compares them with those of the test people. The columns are
those of `handlatent compare`.

Two lines say where the difference comes from. They mix photographs with their reconstructions: details are from the
one and all else is from the other. Details are what a Gaussian blur takes away.
"""

import argparse
from pathlib import Path

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from agents.commands.compare.photographs import read_photographs
from agents.runs.run import load_run
from hand_env.anatomy.measures import sharpness
from vae.device import resolve_device
from vae.distribution import PictureFeatures, coverage_and_density, kernel_distance
from vae.images import to_float
from vae.model import VAE

CHUNK = 64  # pictures at a time
HEADS = ("pictures", "coverage", "density", "kernel distance", "sharpness")


@torch.no_grad()
def reconstructed(vae: VAE, photographs: Tensor) -> Tensor:
    """Return (n, 3, S, S) float in [0, 1], decoded from the posterior means of (n, 3, S, S) float photographs."""
    device = vae.log_variance.device
    parts = [vae.decode(vae.encode(part.to(device))[0]) for part in photographs.split(CHUNK)]
    return torch.cat(parts).float().clamp(0, 1).cpu()


def coarse(pictures: Tensor, sigma: float) -> Tensor:
    """Blur (n, 3, S, S) pictures."""
    return torch.from_numpy(gaussian_filter(pictures.numpy(), (0, 0, sigma, sigma), mode="nearest"))


def main() -> None:
    """Print a line for the photographs, one for their reconstructions, and two for mixtures of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the 11k Hands download")
    parser.add_argument("--n", type=int, default=1000, help="photographs of training people")
    parser.add_argument("--sigma", type=float, default=2.0, help="of the blur, pixels")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = resolve_device(args.device)
    run, features = load_run(args.run), PictureFeatures(device=device)
    found = read_photographs(args.data, run.vae.size, run.split_seed)
    photographs, others = to_float(found.training[: args.n]), to_float(found.held_out)
    vae = run.vae.eval().to(device)
    again = reconstructed(vae, photographs)
    details, own = (pictures - coarse(pictures, args.sigma) for pictures in (photographs, again))
    lines = {
        "photographs": photographs,
        "reconstructed": again,
        "details reconstructed": photographs - details + own,
        "all but details reconstructed": again - own + details,
    }
    theirs, usual = features(others).numpy(), sharpness(others).median()
    print(f"| {' | '.join(HEADS)} |\n| {' | '.join('---' for _ in HEADS)} |")
    for name, pictures in lines.items():
        rows = features(pictures.clamp(0, 1)).numpy()
        coverage, density = coverage_and_density(rows, theirs)
        distance = 1e3 * kernel_distance(rows, theirs).value
        sharp = float(sharpness(pictures.clamp(0, 1)).median() / usual)
        cells = (f"{coverage.value:.2f}", f"{density.value:.2f}", f"{distance:.1f}", f"{sharp:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
