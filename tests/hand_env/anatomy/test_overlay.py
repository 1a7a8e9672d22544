from dataclasses import replace

import numpy as np
import torch

from hand_env.anatomy import draw_overlay
from hand_env.anatomy.result import CRITERIA
from vae.images.labelled.vocabulary import REASONS


def test_overlay_draws_on_the_picture(judge, hands):
    drawn = draw_overlay(hands[0], judge.judge(hands[:1])[0])
    assert drawn.shape == (416, 320, 3)
    assert drawn.dtype == np.uint8
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100


def test_the_caption_holds_all_that_is_said(judge, hands):
    one = replace(judge.judge(hands[:1])[0], trusted=False, doubts=REASONS, failures=CRITERIA)
    drawn = draw_overlay(hands[0], one)
    assert (drawn[-3:] == 255).all()  # below the last line
    assert (drawn[:, -3:][320:] == 255).all()  # beside the longest one


def test_a_whole_picture_has_no_frame_at_any_size(judge, hands):
    for size in (77, 147, 154):
        whole = replace(judge.judge(hands[:1])[0], box=(size / 2, size / 2, float(size)), turn_degrees=0.0, digits=())
        drawn = draw_overlay(torch.zeros(3, size, size), whole)
        assert not drawn[:320].any()
