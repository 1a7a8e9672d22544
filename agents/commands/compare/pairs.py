"""Draw the pairs of a drawn hand and its nearest training photograph, for people to look at."""

from pathlib import Path

import torch
from torch import Tensor

from hand_env.anatomy import Nearest
from hand_env.rendering import captioned, enlarged, image_grid
from vae.images.overview import save_overview

PAIRS, IN_A_ROW, GAP = 50, 5, 8  # the nearest pairs; pairs in a row; pixels between them


def draw_pairs(path: Path, pictures: Tensor, training: Tensor, nearest: Nearest) -> None:
    """Write the nearest pairs, the nearest of all first: the drawn hand left, the photograph right.

    Args:
        path: The PNG file.
        pictures: (n, 3, S, S) uint8, the drawn hands.
        training: (m, 3, S, S) uint8, the photographs. One is mirrored where its mirror image is the nearer one.
        nearest: Says which photograph is nearest to each drawn hand.
    """
    chosen = nearest.distance.argsort()[:PAIRS]
    photographs = training[nearest.index[chosen]]
    turned = nearest.mirrored[chosen, None, None, None]
    photographs = torch.where(turned, photographs.flip(3), photographs)
    pairs = torch.cat([enlarged(pictures[chosen]), enlarged(photographs)], dim=3)
    near = int((~nearest.new).sum())
    caption = (
        f"Nearest pairs of {len(pictures):,}, in rows: drawn hand left, training photograph right. "
        f"The first {near:,} are nearer than other people's photographs (below {nearest.limit:.2f})."
    )
    save_overview(path, captioned(image_grid(pairs, columns=IN_A_ROW, gap=GAP), caption))
