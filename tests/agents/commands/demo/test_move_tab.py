import math

import pytest
import torch

from agents.commands.demo.move_tab import FRAMES, BetweenSettings, MoveSettings, Walk, between, move, spherical


@pytest.fixture(scope="module")
def walk(run):
    return Walk(run)


def test_a_direction_s_length_is_the_standard_deviation_of_the_latents_along_it(walk, run):
    drawn = run.samplers[run.sampler_name()].sample(400, 0)
    along = drawn @ torch.nn.functional.normalize(walk.steps).T
    torch.testing.assert_close(along.std(0), walk.steps.norm(dim=1), rtol=1e-3, atol=1e-5)
    assert walk.shares == sorted(walk.shares, reverse=True)
    assert sum(walk.shares) == pytest.approx(1)  # five directions of five dimensions


def test_a_shift_moves_the_hand_along_its_direction_alone(walk, run, monkeypatch):
    seen = []
    monkeypatch.setattr("agents.commands.demo.move_tab.decoded_hand", lambda run, latent: seen.append(latent))
    move(walk, MoveSettings("", 7))
    move(walk, MoveSettings("", 7, [0, -2.5]))
    torch.testing.assert_close(seen[0], run.samplers[run.sampler_name()].sample(1, 7)[0])
    torch.testing.assert_close(seen[1] - seen[0], -2.5 * walk.steps[1])


def test_a_moved_hand_looks_otherwise(walk):
    hands = [move(walk, MoveSettings("", 7, shifts))["hand"]["picture"] for shifts in ([], [0, 0], [3])]
    assert hands[0] == hands[1] != hands[2]


def test_a_slider_s_hand_is_drawn_once(walk, run, monkeypatch):
    move(walk, MoveSettings("", 8))
    monkeypatch.setattr(type(run.samplers[run.sampler_name()]), "sample", lambda *_: pytest.fail("drawn again"))
    move(walk, MoveSettings("", 8, [1]))


def test_the_way_from_one_hand_to_another_begins_and_ends_with_them(walk):
    frames = list(between(walk, BetweenSettings("", 2, 3)))
    assert [frame["share"] for frame in frames] == [number / (FRAMES - 1) for number in range(FRAMES)]
    ends = [move(walk, MoveSettings("", seed))["hand"]["picture"] for seed in (2, 3)]
    assert [frames[0]["hand"]["picture"], frames[-1]["hand"]["picture"]] == ends
    assert len({frame["hand"]["picture"] for frame in frames}) == FRAMES


def test_an_arc_s_middle_halves_the_angle_and_keeps_the_length():
    first, second = torch.tensor([2.0, 0, 0]), torch.tensor([0.0, 4, 0])
    torch.testing.assert_close(spherical(first, second, 0.5), torch.tensor([3.0, 3, 0]) / math.sqrt(2))
    torch.testing.assert_close(spherical(first, second, 0), first)
    torch.testing.assert_close(spherical(first, second, 1), second)


@pytest.mark.parametrize("second", [[3.0, 0], [-1.0, 0], [0.0, 0]])
def test_where_there_is_no_arc_the_way_is_straight(second):
    found = spherical(torch.tensor([1.0, 0]), torch.tensor(second), 0.25)
    torch.testing.assert_close(found, torch.tensor([1 + 0.25 * (second[0] - 1), 0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shifts": [3.5]}, r"shifts must lie in \[-3, 3\], got 3.5"),
        ({"shifts": [0] * 9}, "shifts must have at most 8 numbers, got 9"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MoveSettings("", **settings)
    with pytest.raises(ValueError, match="second must be at least 0"):
        BetweenSettings("", 0, -1)
