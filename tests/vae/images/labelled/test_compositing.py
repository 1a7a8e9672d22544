import numpy as np
import pytest
import torch

from vae.images.backgrounds.collection import load_grounds, shipped_pictures, write_grounds
from vae.images.backgrounds.textures import TEXTURES, made_texture
from vae.images.labelled.bend import bend
from vae.images.labelled.compositing import composable, compose
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.labelled.vocabulary import DOUBTS, FUSED, GROUND, NO_EXTRA
from vae.images.labelled.webbing import web
from vae.images.random_source import GeneratorSource


@pytest.fixture
def drawn():
    hands = render_hands(11, 0, 6, "none")
    hands.images = hands.images.float() / 255
    return hands


@pytest.fixture(scope="module")
def grounds():
    tiles = [made_texture(256, np.random.default_rng(seed)) for seed in range(4)]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


def test_a_scene_changes_the_ground_and_says_of_no_digit_that_it_is_more(drawn, grounds, generator):
    before = drawn.images.clone()
    assert composable(drawn).all()
    compose(drawn, grounds, GeneratorSource(6, generator))
    assert drawn.images.shape == before.shape
    assert (drawn.images - before).abs().mean() > 0.05
    assert float(drawn.images.min()) >= 0
    assert float(drawn.images.max()) <= 1
    assert set(drawn.extra.tolist()) <= {NO_EXTRA, -1}
    up = drawn.up.norm(dim=1)
    assert torch.allclose(up, torch.ones(6), atol=1e-4)


def test_joints_of_a_scene_lie_on_the_hand(drawn, grounds, generator):
    compose(drawn, grounds, GeneratorSource(6, generator))
    for hand in range(6):
        if drawn.whole[hand] != 1:
            continue  # cut, ghosted or drawn
        knuckles = (drawn.joints[hand, [5, 9, 13, 17]] * 128).long().clamp(0, 127)
        assert (drawn.regions[hand, knuckles[:, 1], knuckles[:, 0]] != GROUND).all()


def test_the_same_seed_makes_the_same_scene(drawn, grounds):
    pictures = []
    for _ in range(2):
        hands = drawn.take(torch.arange(6))
        compose(hands, grounds, GeneratorSource(6, torch.Generator().manual_seed(3)))
        pictures.append(hands.images)
    assert torch.equal(*pictures)


def test_of_a_bent_hand_nobody_says_whether_it_is_right(drawn, generator):
    bend(drawn, GeneratorSource(6, generator))
    assert torch.isnan(drawn.whole).all()
    assert (drawn.doubts[:, DOUBTS.index("bent")] == 1).all()
    assert (drawn.states == -1).any(1).all()


def test_a_web_makes_two_fingers_one(drawn, generator):
    web(drawn, GeneratorSource(6, generator))
    assert ((drawn.states == FUSED).sum(1) == 2).all()
    assert (drawn.whole == 0).all()


@pytest.mark.parametrize("name", TEXTURES)
def test_every_texture_is_a_picture(name):
    made = TEXTURES[name](64, np.random.default_rng(1))
    assert made.shape == (64, 64, 3)
    assert made.dtype == np.uint8
    assert made.std() > 0


def test_grounds_are_written_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.images.backgrounds.collection.shipped_pictures", lambda: [])
    train, validation = load_grounds(write_grounds(tmp_path / "grounds.npz", textures=6))
    assert train.shape == (6, 3, 256, 256)
    assert len(validation) == 1
    with pytest.raises(FileNotFoundError, match="missing"):
        load_grounds(tmp_path / "other.npz")


def test_scikit_learn_ships_photographs():
    assert {"china.jpg", "flower.jpg"} <= {path.name for path in shipped_pictures()}
