import numpy as np
import pytest
import torch

from hand_env import image_grid


def pictures(*brightness):
    """(image, 3, 2, 2) uint8, each of one brightness."""
    return torch.tensor(brightness, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)


def test_pictures_lie_row_by_row_on_white():
    grid = image_grid(pictures(1, 2, 3), columns=2, gap=1)
    assert grid.shape == (7, 7, 3)
    assert [grid[1, 1, 0], grid[1, 4, 0], grid[4, 1, 0], grid[4, 4, 0]] == [1, 2, 3, 255]
    assert (grid[[0, 3, 6]] == 255).all()
    assert np.array_equal(image_grid(pictures(1, 2, 3), gap=1), grid)  # as square as possible


@pytest.mark.parametrize("images", [pictures(1).float(), pictures(1).long()])
def test_pictures_that_are_not_bytes_are_refused(images):
    with pytest.raises(TypeError, match=r"images must be uint8, got torch\.(float32|int64)\. .*to_uint8"):
        image_grid(images)


@pytest.mark.parametrize("images", [pictures(1)[:0], pictures(1)[0], pictures(1).permute(0, 2, 3, 1)])
def test_pictures_of_another_shape_or_none_are_refused(images):
    with pytest.raises(ValueError, match=r"images must have the shape \(image, 3, S, S\), at least one, got \("):
        image_grid(images)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"columns": 0}, "columns must be at least 1, got 0"),
        ({"columns": -1}, "columns must be at least 1, got -1"),
        ({"gap": -1}, "gap must be at least 0, got -1"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(layout, message):
    with pytest.raises(ValueError, match=message):
        image_grid(pictures(1, 2), **layout)
