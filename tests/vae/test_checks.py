import math
import re

import numpy as np
import pytest
import torch

from vae.checks import check_above_zero, check_between, check_images, check_one_of


@pytest.mark.parametrize(
    ("value", "bounds", "without", "message"),
    [
        (65536, (0, 65535), "", "x must lie in 0..65535, got 65536."),
        (-0.1, (0.0, 1.0), "", "x must lie in [0, 1], got -0.1."),
        (0.0, (0.0, 1.0), "low", "x must lie in (0, 1], got 0.0."),
        (1, (0.0, 1.0), "high", "x must lie in [0, 1), got 1."),
        (math.nan, (0.0, 1.0), "", "x must lie in [0, 1], got nan."),
        (math.inf, (-3.0, 3.0), "", "x must lie in [-3, 3], got inf."),
    ],
)
def test_a_number_out_of_its_range_is_refused(value, bounds, without, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_between("x", value, *bounds, without=without)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_a_number_that_is_not_finite_or_not_above_zero_is_refused(value):
    with pytest.raises(ValueError, match=rf"^x must be a finite number above 0, got {value!r}\.$"):
        check_above_zero(x=value)


def test_advice_ends_the_message():
    with pytest.raises(ValueError, match=r"^x must lie in 1\.\.9, got 0\. Take 5\.$"):
        check_between("x", 0, 1, 9, advice="Take 5.")


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(1), True])
def test_both_bounds_are_inside(value):
    check_between("x", value, 0.0, 1.0)
    check_between("x", 0.5, 0.0, 1.0, without="low")
    check_between("x", 0.0, 0.0, 1.0, without="high")


@pytest.mark.parametrize("value", ["c", 1, None, ["a"], np.array(["a", "b"]), "x" * 200])
def test_what_is_none_of_the_choices_is_refused(value):
    with pytest.raises(ValueError, match=r"^kind must be one of 'a', 'b', got .{1,80}\. Take 'a'\.$"):
        check_one_of("kind", value, {"a": 0, "b": 1}, advice="Take 'a'.")


def test_each_choice_is_taken():
    check_one_of("kind", "b", ("a", "b"))
    check_one_of("size", 64, (32, 64))


def test_pictures_that_are_no_tensor_are_refused_by_their_kind():
    with pytest.raises(TypeError, match=r"pictures must be a torch.Tensor, got ndarray.*torch.from_numpy"):
        check_images(np.zeros((4, 3, 16, 16), np.uint8), 16, 4, "pictures")


def test_pictures_of_another_size_are_refused_with_a_way_out_that_is_a_tensor():
    with pytest.raises(ValueError, match=r"got torch.uint8 \(4, 3, 8, 8\).*load_images\(root, size\).pixels"):
        check_images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), 16, 4)
