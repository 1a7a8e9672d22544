import numpy as np
import pytest
from drawn_hands import SKIN, THUMB, TIPS, draw_hand
from PIL import Image
from scipy import ndimage

from vae.images.crop import Square, _eroded, crop_to_hand, cut, frame, ground_colour, hand_mask, palm


def skin_in(picture, skin=SKIN):
    return np.abs(picture.astype(int) - skin).max(axis=-1) < 12


@pytest.mark.parametrize("skin", [(235, 200, 180), SKIN, (70, 45, 35)])
@pytest.mark.parametrize("shift", [-75, 0, 30])
def test_crop_is_square_and_keeps_every_fingertip_inside_its_borders(skin, shift):
    photo = draw_hand(skin=skin, shift=shift)
    crop = crop_to_hand(photo)
    assert crop.shape[0] == crop.shape[1]
    assert crop.dtype == np.uint8
    hand = skin_in(crop, skin)
    assert not hand[:2].any()
    assert not hand[:, :2].any()
    assert not hand[:, -2:].any()
    above_wrist = photo[60:]
    assert hand.sum() >= skin_in(above_wrist, skin).sum()


def test_crop_points_fingers_up_without_mirroring_the_hand():
    photo = draw_hand().copy()
    photo[THUMB[1] - 3 : THUMB[1] + 3, THUMB[0] - 3 : THUMB[0] + 3] = (0, 0, 255)
    x, y = TIPS[1]
    photo[y - 3 : y + 3, x - 3 : x + 3] = (0, 255, 0)
    crop = crop_to_hand(photo).astype(int)
    thumb = np.argwhere((crop[..., 2] - crop[..., 0]) > 150).mean(axis=0) / len(crop)
    finger = np.argwhere((crop[..., 1] - crop[..., 0]) > 150).mean(axis=0) / len(crop)
    assert finger[0] < 0.2 < thumb[0]
    assert thumb[1] < 0.2 < finger[1]  # right in the file, so left after half a turn


def test_crop_is_the_same_for_a_hand_elsewhere_in_the_photograph():
    here, there = crop_to_hand(draw_hand(shift=0)), crop_to_hand(draw_hand(shift=40))
    assert abs(len(here) - len(there)) <= 4
    side = min(len(here), len(there))
    assert np.abs(here[:side, :side].astype(int) - there[:side, :side]).mean() < 10


def test_soft_grey_shadow_is_no_hand():
    photo = draw_hand().copy()
    shadow = np.linspace(1, 0.75, 60)[None, :, None]
    photo[:, :60] = (photo[:, :60] * shadow[:, ::-1]).astype(np.uint8)
    small = photo[::-1, ::-1].astype(np.float32)
    mask = hand_mask(small, ground_colour(small))
    assert not mask[:, -60:].any()
    assert mask.any()


@pytest.mark.parametrize("sleeve", [(20, 20, 25), (160, 20, 40), (250, 250, 250)])
def test_sleeve_hardly_moves_the_frame(sleeve):
    bare, dressed = crop_to_hand(draw_hand()), crop_to_hand(draw_hand(sleeve=sleeve))
    assert abs(len(bare) - len(dressed)) <= 0.1 * len(bare)


def test_palm_is_the_largest_circle_and_sees_through_glare():
    y, x = np.mgrid[:100, :120]
    hand = (y - 50) ** 2 + (x - 70) ** 2 <= 30**2
    hand[45:60, 60:75] = False
    row, column, radius = palm(hand)
    assert abs(row - 50) <= 6
    assert abs(column - 70) <= 2
    assert abs(radius - 30) <= 3


@pytest.mark.parametrize("diagonal", [False, True])
def test_a_layer_is_eroded_as_scipy_does_with_an_arm_that_continues_below(diagonal):
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (1, 7), (7, 1), (20, 30), (30, 20)):
        mask = ndimage.binary_dilation(rng.random((height, width)) < 0.2, iterations=2)
        arm = np.concatenate([mask, mask[-1:]])
        layer = ndimage.binary_erosion(arm, ndimage.generate_binary_structure(2, 1 + diagonal))[:-1]
        assert np.array_equal(_eroded(mask, diagonal=diagonal), layer)


def test_frame_ends_where_the_photograph_ends_if_the_wrist_is_not_in_it():
    hand = np.zeros((60, 80), dtype=bool)
    hand[20:, 30:60] = True
    square = frame(hand)
    assert square.top + square.side == 60
    assert square.top < 20
    assert square.left < 30
    assert square.left + square.side > 60


def test_cut_continues_the_ground_and_never_the_hand():
    picture = np.full((40, 60, 3), 240, dtype=np.uint8)
    picture[:, 20:30] = SKIN
    hand = np.zeros((40, 60), dtype=bool)
    hand[:, 20:30] = True
    result = cut(picture, Square(-10, -20, 60), hand, np.full(3, 240, dtype=np.float32))
    assert result.shape == (60, 60, 3)
    assert (result[:20] == 240).all()
    assert (result[:, :10] == 240).all()
    assert np.array_equal(result[20:, 10:], picture[:, :50])


def test_cut_takes_the_ground_colour_where_the_hand_covers_a_whole_border():
    picture = np.full((20, 20, 3), SKIN, dtype=np.uint8)
    ground = np.array([240, 241, 242], dtype=np.float32)
    result = cut(picture, Square(0, -10, 20), np.ones((20, 20), dtype=bool), ground)
    assert (result[:10] == ground).all()


def test_picture_without_a_hand_is_kept_whole():
    photo = np.full((30, 50, 3), 250, dtype=np.uint8)
    assert crop_to_hand(photo).shape == (50, 50, 3)


@pytest.mark.parametrize("shape", [(8, 8), (8, 400), (400, 8)])
def test_any_shape_and_content_gives_a_square(shape):
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    crop = crop_to_hand(photo)
    assert crop.shape[0] == crop.shape[1] > 0


def test_no_real_hand_reaches_the_upper_or_a_side_border_of_its_crop(photographs):
    """The lower quarter is left out: arms leave there; so are photographs that cut the hand themselves."""
    files = sorted((photographs / "Hands").iterdir())[::15]
    touching = []
    for file in files:
        with Image.open(file) as image:
            photo = np.asarray(image.convert("RGB"))
        crop = crop_to_hand(photo).astype(np.float32)
        relative = crop / ground_colour(crop)
        skin = relative[..., 0] - relative[..., 2] > 0.15
        upper = skin[: len(skin) * 3 // 4]
        if upper[0].any() or upper[:, 0].any() or upper[:, -1].any():
            touching.append(file.name)
    assert len(files) > 100
    assert touching == []
