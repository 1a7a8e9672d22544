import numpy as np
import pytest
import torch

from hand_env.checks import check_action, check_rows, copied, rows_to_reset


def test_what_a_row_that_does_not_act_says_is_not_looked_at():
    action = np.array([[0.5], [np.nan]], np.float32)
    assert check_action(action, (2, 1), np.array([True, False]))[0, 0] == 0.5


def test_the_number_that_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"lie in \[-1, 1\], got .*7\.0"):
        check_action(np.array([0.25, 7.0], np.float32), (2,))


def test_the_rows_to_reset_are_a_copy_of_the_mask():
    mask = np.array([True, False])
    rows_to_reset(mask, 2, True)[:] = False
    assert mask.tolist() == [True, False]


@pytest.mark.parametrize("wrong", [np.array(["1", "2"]), np.array([1j, 2j]), np.array([1, 2], object)])
def test_what_is_no_real_number_is_no_reward(wrong):
    with pytest.raises(ValueError, match="reward must give finite numbers"):
        check_rows("reward", wrong, (2,))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_pictures_are_copied(kind):
    given = kind(np.zeros((1, 3, 4, 4), np.uint8))
    own = copied("images", given)
    given[:] = 9
    assert not own.any()
