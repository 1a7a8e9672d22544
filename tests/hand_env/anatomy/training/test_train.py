import pytest
import torch

from hand_env.anatomy.training import load_pack
from hand_env.anatomy.training.loss import WEIGHTS, loss_terms
from vae.images.labelled.photographs import region_maps
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
    drawn = render_hands(9, 0, 10, "none")
    joints = drawn.joints.clone()
    joints[9, 3, 1] = torch.nan  # of a hand in the second chunk
    found = region_maps(drawn.regions > 0, joints)
    assert found.dtype == torch.uint8
    assert (found[:9] == drawn.regions[:9]).float().mean() > 0.93
    assert set(found[:9].unique().tolist()) == {0, PALM, *range(FIRST_DIGIT, FIRST_DIGIT + 5)}
    assert set(found[9].unique().tolist()) == {0, 255}
    torch.testing.assert_close(region_maps(drawn.regions[8:9] > 0, joints[8:9]), found[8:9], rtol=0, atol=0)


def test_the_loss_ignores_what_is_not_known():
    from hand_env.anatomy.network import build_network
    from vae.images.labelled.hands import nothing_known

    network = build_network("reporter").eval()
    hands = nothing_known(torch.rand(2, 3, 80, 80))
    hands.whole[:] = torch.nan
    terms = loss_terms(network(hands.images), hands)
    assert set(terms) == set(WEIGHTS) - {"near"}
    assert all(float(term.detach()) == 0 for term in terms.values())
