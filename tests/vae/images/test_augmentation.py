import pytest
import torch

from vae.images import augment, random_affine, warp

STILL = {"flip": False, "degrees": 0.0, "translate": 0.0, "scale": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=4, size=16):
    return torch.rand(n, 3, size, size, generator=generator(7))


def test_augmented_images_keep_shape_type_and_range():
    images = augment(pictures(), generator())
    assert images.shape == (4, 3, 16, 16)
    assert images.dtype == torch.float32
    assert 0 <= images.min()
    assert images.max() <= 1


def test_same_generator_state_gives_the_same_images_and_another_does_not():
    images = pictures()
    assert torch.equal(augment(images, generator(1)), augment(images, generator(1)))
    assert not torch.equal(augment(images, generator(1)), augment(images, generator(2)))


def test_no_change_asked_for_is_no_change():
    images = pictures()
    torch.testing.assert_close(augment(images, generator(), **STILL), images, atol=1e-5, rtol=0)


def test_flips_mirror_half_of_the_images_exactly():
    images = pictures(64)
    flipped = augment(images, generator(), **{**STILL, "flip": True})
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(flipped, images, strict=True)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-5) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 16 < sum(mirrored) < 48


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        ({"degrees": 5.0}, 0.0, 0.0873),
        ({"scale": 0.05}, 0.0, 0.0527),
        ({"translate": 0.03}, 0.0, 0.06),
    ],
)
def test_changes_stay_within_their_limits_and_use_them(change, low, high):
    theta = random_affine(500, generator(), "cpu", **{**STILL, **change})
    distance = (theta - torch.eye(2, 3)).abs().max(dim=1).values.max(dim=1).values
    assert low <= distance.min() < 0.2 * high
    assert 0.9 * high < distance.max() <= high


def test_mirrored_and_turned_images_are_never_sheared():
    linear = random_affine(100, generator(), "cpu")[:, :, :2]
    product = linear @ linear.transpose(1, 2)
    torch.testing.assert_close(product[:, 0, 1], torch.zeros(100), atol=1e-6, rtol=0)
    torch.testing.assert_close(product[:, 0, 0], product[:, 1, 1])


def test_warp_moves_the_picture_against_theta():
    images = pictures(1, 16)
    theta = torch.tensor([[[1.0, 0.0, 2 / 16], [0.0, 1.0, 0.0]]])  # taken from one pixel further right
    torch.testing.assert_close(warp(images, theta)[..., :-1], images[..., 1:], atol=1e-5, rtol=0)


def test_border_is_repeated_and_never_black():
    images = torch.full((8, 3, 16, 16), 0.9)
    torch.testing.assert_close(augment(images, generator(), degrees=30.0, translate=0.3), images)


def test_one_draw_is_taken_whatever_is_asked_for():
    first, second = generator(), generator()
    random_affine(4, first, "cpu")
    random_affine(4, second, "cpu", **STILL)
    assert torch.equal(first.get_state(), second.get_state())
