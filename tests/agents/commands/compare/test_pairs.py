import numpy as np
import torch
from PIL import Image

from agents.commands.compare.pairs import GAP, IN_A_ROW, PAIRS, draw_pairs
from hand_env.anatomy import Nearest
from vae.images.overview import is_overview

SIDE = 128  # to which pictures are enlarged


def test_the_nearest_pairs_stand_first_and_a_photograph_is_mirrored_where_its_mirror_image_is_nearer(tmp_path):
    pictures = torch.arange(60, dtype=torch.uint8).mul(3)[:, None, None, None].expand(60, 3, 32, 32).contiguous()
    training = torch.zeros(7, 3, 32, 32, dtype=torch.uint8)
    training[5, :, :, :16] = 200  # bright on its left side
    distance = torch.linspace(1, 0.1, 60)
    nearest = Nearest(torch.full((60,), 5), torch.arange(60) == 59, distance, 0.2, distance >= 0.2)
    draw_pairs(tmp_path / "pairs.png", pictures, training, nearest)
    assert is_overview(tmp_path / "pairs.png")
    with Image.open(tmp_path / "pairs.png") as picture:
        pixels = np.asarray(picture)[24:, 6:, 0]
    assert pixels.shape[1] == IN_A_ROW * (2 * SIDE + GAP) + GAP + 6
    assert pixels.shape[0] == PAIRS // IN_A_ROW * (SIDE + GAP) + GAP
    first, second = (pixels[GAP : GAP + SIDE, left : left + 2 * SIDE] for left in (GAP, 2 * GAP + 2 * SIDE))
    assert (first[:, 10].mean(), second[:, 10].mean()) == (59 * 3, 58 * 3)
    assert first[:, SIDE + 10].mean() < 10 < 190 < first[:, -10].mean()  # mirrored
    assert second[:, -10].mean() < 10 < 190 < second[:, SIDE + 10].mean()
