import pytest
import torch

from hand_env.anatomy.measures import hue_angle, lab, sharpness, skin_colour, typology_angle


def test_white_black_and_red_have_their_known_places_in_cielab():
    colours = lab(torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]]))
    assert colours[0].tolist() == pytest.approx([100, 0, 0], abs=0.1)
    assert colours[1].tolist() == pytest.approx([0, 0, 0], abs=0.1)
    assert colours[2].tolist() == pytest.approx([53.2, 80.1, 67.2], abs=0.3)


def test_typology_angle_is_the_angle_from_grey_fifty():
    assert typology_angle(torch.tensor([[70.0, 10, 20], [30, 10, 20]])).tolist() == pytest.approx([45, -45])


def test_hue_tells_skin_from_green_and_blue():
    skin, green, blue = hue_angle(lab(torch.tensor([[0.8, 0.6, 0.5], [0.5, 0.8, 0.5], [0.4, 0.5, 0.9]])))
    assert 15 < skin < 85
    assert green > 85
    assert blue < 15


def test_skin_colour_is_that_of_the_digits():
    images = torch.zeros(1, 3, 48, 48)
    images[:, 0, :, :24] = 1.0
    regions = torch.zeros(1, 8, 24, 24)
    regions[:, 3, :, :12] = 20.0
    regions[:, 0, :, 12:] = 20.0
    assert skin_colour(images, regions)[0].tolist() == pytest.approx([53.2, 80.1, 67.2], abs=1.0)


def test_sharpness_falls_with_blur_whatever_the_contrast():
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1.0
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous()
    assert sharpness(edge) > 3 * sharpness(ramp)
    assert float(sharpness(0.3 * edge + 0.5)) == pytest.approx(float(sharpness(edge)), rel=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_have_a_gradient(level):
    flat = torch.full((2, 3, 64, 64), level, requires_grad=True)
    (gradient,) = torch.autograd.grad(sharpness(flat).sum(), flat)
    assert gradient.isfinite().all()
    assert sharpness(flat).max() < 1e-4
