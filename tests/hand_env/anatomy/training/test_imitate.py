"""Tests of the imitators: labels survive only where the decoded picture is still the same hand."""

import torch

from hand_env.anatomy.training.imitate import Imitator
from vae.images.labelled.style import resized
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.random_source import GeneratorSource


def _hands():
    hands = render_hands(5, 0, 3, "none")
    hands.images = hands.images.float() / 255
    return hands


def _imitator(monkeypatch, decoded):
    imitator = Imitator(0, "cpu", "small")
    monkeypatch.setattr(imitator.vae, "encode", lambda images: (torch.zeros(3, 300), torch.zeros(3, 300)))
    monkeypatch.setattr(imitator.vae, "decode", lambda latents: decoded)
    return imitator


def test_a_moved_latent_that_decodes_to_the_same_hand_keeps_its_label(monkeypatch):
    hands = _hands()
    imitator = _imitator(monkeypatch, resized(hands.images, 64))
    imitator.reconstruct(hands, GeneratorSource(3, torch.Generator().manual_seed(0)))
    assert hands.whole.tolist() == [1, 1, 1]


def test_a_moved_latent_that_loses_one_part_of_the_hand_loses_its_label(monkeypatch):
    hands = _hands()
    decoded = resized(hands.images, 64).clone()
    decoded[:, :, 28:38, 28:34] = 1 - decoded[:, :, 28:38, 28:34].round()  # about as large as a finger
    imitator = _imitator(monkeypatch, decoded)
    imitator.reconstruct(hands, GeneratorSource(3, torch.Generator().manual_seed(0)))
    assert bool(torch.isnan(hands.whole).all())
