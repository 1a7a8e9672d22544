import numpy as np
import pytest
import torch

from hand_env.anatomy.training import load_pack
from hand_env.anatomy.training.loss import WEIGHTS, loss_terms
from vae.images.labelled.photographs import region_map
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.labelled.vocabulary import FIRST_DIGIT, PALM


def test_a_pack_gives_back_what_was_packed(judge_pack):
    photographs = load_pack(judge_pack)
    assert (len(photographs.train), len(photographs.validation)) == (8, 2)
    drawn = render_hands(9, 0, 10, "none")
    assert (photographs.train.images.float() - drawn.images[:8].float()).abs().mean() < 4
    assert torch.equal(photographs.validation.regions, drawn.regions[8:])


def test_a_missing_pack_is_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="judge-train"):
        load_pack(tmp_path / "none.npz")


def test_a_region_map_divides_the_skin_by_the_joints():
    drawn = render_hands(9, 0, 1, "none")
    truth = drawn.regions[0].numpy()
    found = region_map(truth > 0, drawn.joints[0].numpy())
    assert (found == truth).mean() > 0.93
    assert set(np.unique(found)) == {0, PALM, *range(FIRST_DIGIT, FIRST_DIGIT + 5)}
    unknown = region_map(truth > 0, np.full((21, 2), np.nan, np.float32))
    assert set(np.unique(unknown)) == {0, 255}


def test_the_loss_ignores_what_is_not_known():
    from hand_env.anatomy.network import build_network
    from vae.images.labelled.hands import nothing_known

    network = build_network("reporter").eval()
    hands = nothing_known(torch.rand(2, 3, 80, 80))
    hands.whole[:] = torch.nan
    terms = loss_terms(network(hands.images), hands)
    assert set(terms) == set(WEIGHTS) - {"near"}
    assert all(float(term.detach()) == 0 for term in terms.values())
