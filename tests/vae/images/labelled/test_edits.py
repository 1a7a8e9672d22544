import pytest
import torch

from hand_env.anatomy.training.batches import ALL_EDITS, HARMLESS
from vae.images.labelled.cut_and_paste import lay, lift, plain
from vae.images.labelled.hands import correct_hands
from vae.images.labelled.malform import erase
from vae.images.labelled.not_hands import MIXES
from vae.images.labelled.pull_apart import double, fuse
from vae.images.labelled.style import place, reframe, resized, restyle, shrink
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.labelled.vocabulary import EXTRA, FIRST_DIGIT, FUSED
from vae.images.random_source import GeneratorSource


@pytest.fixture
def right():
    hands = render_hands(1, 0, 8, "none", 64)
    hands.images = hands.images.float() / 255
    return hands


@pytest.mark.parametrize("name", ALL_EDITS)
def test_an_edit_changes_the_picture_and_says_what_is_wrong(right, generator, name):
    before = right.images.clone()
    ALL_EDITS[name](right, GeneratorSource(8, generator))
    changed = (right.images - before).abs().flatten(1).amax(1) > 0.05
    said = (right.whole == 0) & ((right.states != 0).any(1) | (right.extra != 0))
    assert int(said.sum()) >= 2  # an additional digit that nobody could see is not added
    assert bool(changed[said].all())
    assert bool((right.whole[~said] == 1).all())
    assert not torch.isnan(right.images).any()


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_edit_leaves_the_hand_right(right, generator, name):
    before = right.images.clone()
    HARMLESS[name](right, GeneratorSource(8, generator))
    assert not torch.equal(right.images, before)
    assert bool((right.whole == 1).all())
    assert bool((right.states == 0).all())


def test_an_erased_digit_leaves_no_region(right, generator):
    erase(right, GeneratorSource(8, generator))
    gone = right.states.argmax(1)
    for row, digit in enumerate(gone.tolist()):
        assert not bool((right.regions[row] == FIRST_DIGIT + digit).any())


def test_a_doubled_finger_is_there_twice_and_others_keep_their_size(right, generator):
    areas = [(right.regions == region).sum() for region in range(2, 7)]
    double(right, GeneratorSource(8, generator))
    assert bool((right.regions == EXTRA).flatten(1).any(1).all())
    assert (right.regions == 2).sum() > 0.6 * areas[0]


def test_fused_fingers_are_neighbours(right, generator):
    fuse(right, GeneratorSource(8, generator))
    for states in right.states.tolist():
        where = [number for number, state in enumerate(states) if state == FUSED]
        assert where[1] == where[0] + 1
        assert where[0] >= 1


def test_a_digit_laid_down_where_it_was_changes_little(right):
    digit = torch.full((8,), 2)
    _, bare = lift(right, digit)
    again, cover = lay(right, bare, digit, plain(8, right.images.device))
    assert (again - right.images).abs().mean() < 0.3 * (bare - right.images).abs().mean()
    assert bool(cover.flatten(1).any(1).all())


@pytest.mark.parametrize("name", MIXES)
def test_a_mixture_is_never_called_right(right, generator, name):
    mixed = MIXES[name](right, right.take(torch.arange(7, -1, -1)), GeneratorSource(8, generator))
    assert mixed.images.shape == right.images.shape
    assert not bool((mixed.whole == 1).any())
    assert not bool((mixed.hand == 1).any())


def test_placing_moves_joints_with_the_picture():
    images = torch.zeros(1, 3, 64, 64)
    images[..., 20, 40] = 1.0
    joints = torch.full((1, 21, 2), torch.nan)
    joints[0, 0] = torch.tensor([40.5 / 64, 20.5 / 64])
    hands = correct_hands(images, torch.zeros(1, 64, 64, dtype=torch.uint8), joints)
    half = torch.full((1, 2), 0.5)
    place(hands, torch.tensor([0.8]), torch.tensor([0.4]), half, half, torch.tensor([-1.0]))
    row, column = divmod(int(hands.images[0, 0].argmax()), 64)
    assert hands.joints[0, 0].tolist() == pytest.approx([(column + 0.5) / 64, (row + 0.5) / 64], abs=0.015)
    assert hands.up.norm().item() == pytest.approx(1.0, abs=1e-5)


def test_framing_keeps_labels_and_style_keeps_the_hand(right, generator):
    joints = right.joints.clone()
    shrink(right, GeneratorSource(8, generator))
    reframe(right, GeneratorSource(8, generator))
    assert not torch.equal(right.joints, joints)
    regions = right.regions.clone()
    restyle(right, 48, GeneratorSource(8, generator))
    assert right.images.shape == (8, 3, 48, 48)
    assert 0 <= float(right.images.min())
    assert float(right.images.max()) <= 1
    assert torch.equal(right.regions, regions)


def test_resizing_to_the_same_size_changes_nothing(right):
    assert resized(right.images, 64) is right.images
