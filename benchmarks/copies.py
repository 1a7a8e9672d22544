"""Measure which copies of photographs are found out, by the judge's measure and by the one in a network's features.

Run `python benchmarks/copies.py --data path/to/11k-hands`; it takes about 4 minutes on one core. It changes 100
photographs of training people in the ways of the lines, and lets the packaged VAE encode and decode them. Each number
is the share that is nearer to a training photograph than 99 % of the test people's photographs. The last line has the
photographs of the validation people, which are no copies. The columns:

- judge: `hand_env.anatomy.Known`, which gives "new" in `handlatent compare`;
- features: `hand_env.anatomy.KnownByFeatures`, which gives "new by features";
- plain: the same features of pictures that were not shrunk, and that were not whitened.
"""

import argparse
import io
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from agents.commands.compare import load_compared_run
from hand_env.anatomy import Judge, Known, KnownByFeatures
from hand_env.anatomy.novelty import SHARE
from vae.distribution import MEASURES, NETWORKS, PictureFeatures
from vae.images import SPLIT_SEED, load_images, split_by_group, to_float, to_uint8
from vae.images.decode import open_picture

N, SIZE = 100, 128


def cropped(pictures: Tensor, border: int) -> Tensor:
    """Cut a border off (n, 3, S, S) pictures, and enlarge the rest to their old size."""
    inner = pictures[..., border:-border, border:-border]
    return F.interpolate(inner, size=pictures.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)


def compressed(pictures: Tensor, quality: int) -> Tensor:
    """Write (n, 3, S, S) pictures as JPEG files, and read them again."""
    decoded = []
    for picture in to_uint8(pictures):
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        file.seek(0)
        with open_picture(file) as image:
            decoded.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    return to_float(torch.stack(decoded))


def softened(pictures: Tensor) -> Tensor:
    """Shrink (n, 3, S, S) pictures to half their size, and enlarge them again."""
    return F.interpolate(F.avg_pool2d(pictures, 2), size=pictures.shape[-2:], mode="bicubic").clamp(0, 1)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "15 % darker": lambda x: 0.85 * x,
    "mirrored": lambda x: x.flip(3),
    "cropped by 3 pixels": lambda x: cropped(x, 3),
    "cropped by 6 pixels": lambda x: cropped(x, 6),
    "JPEG of quality 50": lambda x: compressed(x, 50),
    "down to 64 pixels and back": softened,
    "darker, cropped by 3, JPEG": lambda x: compressed(cropped(0.93 * x, 3), 60),
}


def main() -> None:
    """Print a line for each kind of copy, and one for photographs of other people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the 11k Hands download")
    parser.add_argument("--features", choices=NETWORKS, default=MEASURES, help="the network that measures")
    args = parser.parse_args()
    hands = load_images(args.data, SIZE)
    split = split_by_group(hands.groups, hands.all_groups, seed=SPLIT_SEED)
    training, held_out, others = (to_float(hands.pixels[rows]) for rows in (split.train, split.test, split.validation))
    judge, features = Judge.load(architecture="reporter"), PictureFeatures(args.features)
    known, by_features = Known(judge, training, held_out), KnownByFeatures(features, training, held_out)
    base = F.normalize(features(training))

    def plain(images: Tensor) -> Tensor:
        return torch.cdist(F.normalize(features(images)), base).min(1).values

    limit = torch.quantile(plain(held_out), SHARE)
    vae = load_compared_run(Path(str(resources.files("agents") / "weights" / "photographs"))).vae
    chosen = training[torch.randperm(len(training), generator=torch.Generator().manual_seed(0))[:N]]
    sets = {name: change(chosen) for name, change in CHANGES.items()}
    with torch.no_grad():
        means = [vae.encode(chunk)[0] for chunk in torch.split(chosen, 20)]
        sets["encoded and decoded"] = torch.cat([vae.decode(mean) for mean in means]).clamp(0, 1)
    sets["other people's photographs"] = others
    print(
        f"{NETWORKS[args.features].title}, {N} of {len(training):,} training photographs, {SIZE} pixels; nearer, in %"
    )
    print(f"{'':28}{'judge':>8}{'features':>10}{'plain':>8}")
    for name, images in sets.items():
        near = ~known.novelty(images).new, ~by_features.nearest(images).new, plain(images) < limit
        by_judge, by_network, unshrunk = (100 * float(each.float().mean()) for each in near)
        print(f"{name:28}{by_judge:8.1f}{by_network:10.1f}{unshrunk:8.1f}", flush=True)


if __name__ == "__main__":
    main()
