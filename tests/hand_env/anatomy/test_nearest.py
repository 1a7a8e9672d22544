import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from hand_env.anatomy import KnownByFeatures
from vae.distribution import PictureFeatures
from vae.images import load_hands11k, split_by_group, to_float, to_uint8


def blocks(pictures, side):
    """Features without a network: the colours of 6 x 6 blocks, of the pictures that it would be shown."""
    assert pictures.shape[2:] == (48, 48)
    shown = F.interpolate(pictures, size=(side, side))
    return F.adaptive_avg_pool2d(shown, 6).flatten(1)


@pytest.fixture
def pictures():
    """(90, 3, 32, 32) of coarse noise, which has more in common with itself brightened than with the others."""
    coarse = torch.rand(90, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(32, 32), mode="bilinear").clamp(0, 1)


def test_copies_are_found_whatever_their_brightness_and_mirrored_and_a_stranger_is_new(pictures):
    training, held_out, strangers = pictures[:40], pictures[40:80], pictures[80:]
    copies = torch.cat([training[3:4] * 0.9, training[5:6].flip(3), (training[7:8] * 1.05).clamp(0, 1)])
    found = KnownByFeatures(blocks, training, held_out).nearest(torch.cat([copies, strangers]))
    assert found.index[:3].tolist() == [3, 5, 7]
    assert found.mirrored[:3].tolist() == [False, True, False]
    assert found.new.tolist() == [False] * 3 + [True] * 10
    assert found.distance[:3].max() < found.limit < found.distance[3:].min()
    assert found.distance.max() <= 2


def test_one_percent_of_the_held_out_pictures_lie_below_the_limit(pictures):
    training, held_out = pictures[:40], pictures[40:]
    known = KnownByFeatures(blocks, training, held_out)
    distance = known.nearest(held_out).distance
    assert known.limit == pytest.approx(float(np.quantile(distance.numpy(), 0.01)), rel=1e-5)
    assert int((~known.nearest(held_out).new).sum()) == 1  # of 50


def test_pictures_without_any_difference_have_finite_distances():
    same = torch.full((8, 3, 32, 32), 0.5)
    assert KnownByFeatures(blocks, same, same).nearest(same).distance.isfinite().all()


def test_what_is_no_batch_of_pictures_is_refused(pictures):
    with pytest.raises(ValueError, match="images must lie in"):
        KnownByFeatures(blocks, pictures * 2, pictures)
    with pytest.raises(ValueError, match="images must have shape"):
        KnownByFeatures(blocks, pictures, pictures).nearest(pictures[0])


def through_jpeg(pictures, quality):
    decoded = []
    for picture in to_uint8(pictures):
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        decoded.append(torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1))
    return to_float(torch.stack(decoded))


@pytest.mark.slow(seconds=40)
def test_near_copies_of_photographs_are_found_and_other_people_s_photographs_are_new(photographs):
    hands = load_hands11k(photographs, 128, progress=False)
    split = split_by_group(hands.groups, hands.all_groups, seed=0)
    training, held_out, strangers = (
        to_float(hands.pixels[rows]) for rows in (split.train[:500], split.test, split.validation)
    )
    chosen = torch.arange(0, 500, 25)
    plain = training[chosen]
    changed = {
        "darker": plain * 0.85,
        "cropped": F.interpolate(plain[..., 3:-3, 3:-3], size=(128, 128), mode="bicubic", antialias=True).clamp(0, 1),
        "JPEG": through_jpeg(plain, 50),
        "blurred": F.interpolate(F.avg_pool2d(plain, 2), size=(128, 128), mode="bilinear"),
        "mirrored": plain.flip(3),
    }
    known = KnownByFeatures(PictureFeatures(), training, held_out)
    for name, copies in changed.items():
        found = known.nearest(copies)
        assert int((~found.new).sum()) >= 19, name  # of 20
        right = (found.index == chosen) & (found.mirrored == (name == "mirrored"))
        assert int(right.sum()) >= 15, name
    assert float(known.nearest(strangers).new.float().mean()) >= 0.95
