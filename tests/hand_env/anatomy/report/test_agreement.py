from types import SimpleNamespace

import pytest
import torch

from hand_env.anatomy.report import agreement, climb


def verdicts(*words):
    return [SimpleNamespace(anatomical=word == "y", score=0.5) for word in "".join(words)]


def test_agreement_counts_both_judges_verdicts():
    found = agreement(verdicts("yyyyynnnnn"), verdicts("yyyynnnnny"))
    assert found.first.share == 0.5
    assert found.second.share == 0.5
    assert found.alike.count == 8
    assert found.kappa == pytest.approx(0.6)  # (0.8 - 0.5) / (1 - 0.5)
    assert found.scores == (0.5, 0.5)


def test_kappa_is_zero_where_they_agree_as_often_as_chance_has_it():
    assert agreement(verdicts("yynn"), verdicts("ynyn")).kappa == pytest.approx(0.0)


class Painter:
    """Score pictures by their brightness."""

    def find(self, images):
        return SimpleNamespace(score=images.mean((1, 2, 3)))


def test_climbing_raises_the_score_and_never_ends_below_its_start():
    def decode(latents):
        return torch.sigmoid(latents).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)

    start = torch.linspace(-2, 2, 40).unsqueeze(1)
    end = climb(decode, Painter(), start, steps=20, rate=0.1)
    assert bool((end > start + 1).all())
    assert torch.equal(climb(decode, Painter(), start, steps=0, rate=0.1), start)
    held = climb(lambda z: torch.sigmoid(-(z**2)).view(-1, 1, 1, 1).expand(-1, 3, 32, 32), Painter(), start, 3, 50.0)
    assert bool((held.abs() <= start.abs()).all())
