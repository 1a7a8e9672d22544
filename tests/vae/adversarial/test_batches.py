"""What the recipe learns from."""

import pytest
import torch

from agents.commands.recipe.annotate import annotate
from hand_env.anatomy import Judge
from hand_env.anatomy.measures import sharpness
from vae.adversarial.batches import Batches
from vae.images.labelled.synthetic_pool import render_right_hands
from vae.images.labelled.vocabulary import FIRST_DIGIT, GROUND, PALM


def test_drawn_hands_are_right_and_labelled(drawn):
    assert len(drawn) == 32
    assert drawn.images.shape == (32, 3, 128, 128)
    assert drawn.images.dtype == torch.uint8
    assert (drawn.whole == 1).all()
    for region in (GROUND, PALM, *range(FIRST_DIGIT, FIRST_DIGIT + 5)):
        assert (drawn.regions == region).flatten(1).any(1).all()


def test_drawn_hands_do_not_depend_on_the_number_of_workers(drawn):
    assert torch.equal(render_right_hands(32, seed=3, workers=1).images, drawn.images)


def test_a_judge_labels_pictures_about_as_they_were_drawn(drawn):
    found = annotate(drawn.images, Judge.load())
    known = ~torch.isnan(found.joints).flatten(1).any(1)
    assert known.float().mean() > 0.9
    away = (found.joints - drawn.joints)[known].norm(dim=-1).mean()
    assert away < 0.02  # of the picture's side
    digits = (drawn.regions >= FIRST_DIGIT) & (drawn.regions < FIRST_DIGIT + 5)
    alike = (found.regions == drawn.regions)[digits & known.view(-1, 1, 1)]
    assert alike.float().mean() > 0.8


@pytest.mark.parametrize("rows", [[3, 1, 15, 9], [7, 8, 9], [0]])
def test_some_rows_of_a_batch_are_edited_as_in_the_whole_batch(batches, rows):
    rows = torch.tensor(rows)
    for seed in range(3):
        whole = batches.batch(6, 10, torch.Generator().manual_seed(seed))
        some = batches.batch(6, 10, torch.Generator().manual_seed(seed), rows)
        for name in ("images", "regions", "joints"):
            assert torch.equal(getattr(some, name), getattr(whole, name)[rows]), name


def test_a_batch_has_photographs_first_and_repeats_with_its_generator(batches):
    hands = batches.batch(6, 4, torch.Generator().manual_seed(0))
    again = batches.batch(6, 4, torch.Generator().manual_seed(0))
    other = batches.batch(6, 4, torch.Generator().manual_seed(1))
    assert hands.images.shape == (10, 3, 128, 128)
    assert hands.images.dtype == torch.float32
    assert 0 <= hands.images.min() < hands.images.max() <= 1
    assert torch.equal(hands.images, again.images)
    assert not torch.equal(hands.images, other.images)


def test_without_photographs_a_batch_is_drawn(drawn):
    hands = Batches(None, drawn).batch(0, 5, torch.Generator().manual_seed(0))
    assert len(hands) == 5


def test_a_batch_keeps_the_sharpness_of_its_pictures(drawn):
    hands = drawn.take(slice(16))
    before = sharpness(hands.images.float() / 255).median()
    kept = {
        mode: sharpness(Batches(hands, hands, mode=mode).batch(16, 0, torch.Generator().manual_seed(0)).images).median()
        for mode in ("bilinear", "bicubic")
    }
    default = Batches(hands, hands).batch(16, 0, torch.Generator().manual_seed(0)).images
    assert sharpness(default).median() == kept["bicubic"]
    assert kept["bilinear"] < 0.92 * before
    assert kept["bicubic"] > kept["bilinear"] + 0.05 * before
