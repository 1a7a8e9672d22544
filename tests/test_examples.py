"""Every example runs, with fewer pictures, in the process of the test."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"01_train_sac", "02_draw_hands"}


def test_01_train_sac_pays_from_the_second_epoch_on():
    rewards = load("01_train_sac").main(n_images=16, epochs=4)
    assert list(rewards) == [1, 2, 3, 4]
    assert rewards[1] == 0
    assert rewards[2] > 0  # a VAE that has just begun to learn always does


def test_02_draw_hands_writes_a_picture(tmp_path):
    path = load("02_draw_hands").main(n_images=40, epochs=2, path=tmp_path / "hands.png")
    assert np.asarray(Image.open(path)).shape == (2 * 34 + 2, 12 * 34 + 2, 3)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"    python examples/{path.name}\n" in text
