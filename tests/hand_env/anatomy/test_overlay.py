import numpy as np

from hand_env.anatomy import draw_overlay


def test_overlay_draws_on_the_picture(judge, hands):
    drawn = draw_overlay(hands[0], judge.judge(hands[:1])[0])
    assert drawn.shape == (384, 320, 3)
    assert drawn.dtype == np.uint8
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100
