"""Tests of the smears: they change a picture's look, and nothing about the hand."""

import torch

from vae.images.labelled.smear import smear
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.random_source import GeneratorSource


def test_smear_changes_the_images_and_keeps_every_label():
    hands = render_hands(5, 0, 6, "none")
    hands.images = hands.images.float() / 255
    before = hands.take(torch.arange(6))
    smear(hands, GeneratorSource(6, torch.Generator().manual_seed(0)))
    assert hands.images.shape == before.images.shape
    assert float(hands.images.min()) >= 0
    assert float(hands.images.max()) <= 1
    change = (hands.images - before.images).abs().mean((1, 2, 3))
    assert bool((change > 1e-3).all())
    assert bool((change < 0.2).all())
    for name in ("regions", "joints", "states", "extra", "whole", "hand", "up", "doubts"):
        assert torch.equal(getattr(hands, name), getattr(before, name)), name


def test_same_seed_gives_the_same_smears():
    hands = [render_hands(5, 0, 3, "none") for _ in range(2)]
    for some in hands:
        some.images = some.images.float() / 255
        smear(some, GeneratorSource(3, torch.Generator().manual_seed(1)))
    assert torch.equal(hands[0].images, hands[1].images)
