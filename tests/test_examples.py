"""Every example runs, with fewer pictures, in the process of the test."""

import ast
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae.images.overview import is_overview

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    tests = re.findall(r"^def test_(\d\d_\w+)", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)
    for path in EXAMPLES.glob("*.py"):
        assert any(test.startswith(path.stem) for test in tests), path


def test_01_train_sac_pays_from_the_second_epoch_on():
    rewards = load("01_train_sac").main(n_images=16, epochs=4)
    assert list(rewards) == [1, 2, 3, 4]
    assert rewards[1] == 0
    assert rewards[2] > 0  # a VAE that has just begun to learn always does


def test_02_draw_hands_writes_a_picture(tmp_path):
    path = load("02_draw_hands").main(n_images=40, epochs=2, path=tmp_path / "hands.png")
    assert is_overview(path)
    assert np.asarray(Image.open(path)).shape == (2 * 34 + 2, 12 * 34 + 2, 3)


@pytest.mark.parametrize("name", ["TD3", "PPO", "TQC"])
def test_03_any_algorithm_trains_each_of_them(name):
    example = load("03_any_algorithm")
    assert name in example.ALGORITHMS
    returns = example.main(name, n_images=16, steps=20)  # an episode is 4 epochs of one minibatch
    assert len(returns) == 5 * example.ROWS
    assert np.isfinite(returns).all()
    assert np.mean(returns) > 0  # a VAE that has just begun to learn always pays


@pytest.mark.usefixtures("real_channels")
def test_04_plain_torch_agent_learns_what_random_actions_do_not_do():
    nats = load("04_plain_torch_agent").main(pretraining=30, steps=40, rows=16)
    assert nats["after"] > max(0, nats["before"]) + 50
    assert nats["at random"] < 0


def test_05_own_vae_trains_the_user_s_networks():
    per_epoch = load("05_own_vae").main(n_images=40, epochs=10)
    assert len(per_epoch) == 10
    assert per_epoch[-1] < per_epoch[0] - 500


def test_06_rllib_imports_nothing_but_ray():
    """RLlib wants an older Gymnasium than constraints.txt, so it is run by tests/libraries/run.py."""
    tree = ast.parse((EXAMPLES / "06_rllib.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"ray", "ray.rllib.algorithms.ppo"}
    if importlib.util.find_spec("ray") is None:
        with pytest.raises(ModuleNotFoundError, match="ray"):
            load("06_rllib")


def test_07_the_paper_trains_at_each_number_of_images():
    returns = load("07_the_paper").main(n_images=(8, 16), steps=16)
    assert list(returns) == [8, 16]
    assert np.isfinite(list(returns.values())).all()


def test_08_refine_raises_the_score_and_writes_a_picture(tmp_path):
    scores = load("08_refine").main(
        n_images=40, epochs=2, steps=4, judge=lambda x: x.mean((1, 2, 3)), path=tmp_path / "refined.png"
    )
    assert scores["after"] > scores["before"]
    assert is_overview(tmp_path / "refined.png")
    assert np.asarray(Image.open(tmp_path / "refined.png")).shape == (2 * 34 + 2, 12 * 34 + 2, 3)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"    python examples/{path.name}\n" in text
