import pytest
import torch

from vae.images import to_float, to_uint8


def test_every_byte_survives_the_way_to_floats_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(pixels)
    assert floats.dtype == torch.float32
    assert floats.min() == 0
    assert floats.max() == 1
    assert torch.equal(to_uint8(floats), pixels)


def test_bytes_are_rounded_and_what_lies_outside_is_clipped():
    images = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 1.5])
    assert to_uint8(images).tolist() == [0, 0, 1, 255]


def test_floats_are_refused_where_bytes_are_asked_for():
    with pytest.raises(TypeError, match=r"pixels must be torch.uint8, got torch.float32. Turn floats .* by to_uint8"):
        to_float(torch.zeros(1))


def test_bytes_are_refused_where_floats_are_asked_for():
    with pytest.raises(TypeError, match=r"images must be floating point, got torch.uint8"):
        to_uint8(torch.zeros(1, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_that_hold_nan_are_refused_and_infinity_is_clipped(dtype):
    with pytest.raises(ValueError, match=r"images must hold numbers, got NaN\. Take a VAE that has not diverged\."):
        to_uint8(torch.tensor([0.5, float("nan")], dtype=dtype))
    assert to_uint8(torch.tensor([-float("inf"), float("inf")], dtype=dtype)).tolist() == [0, 255]
