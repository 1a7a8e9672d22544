import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hand_env.anatomy import ANATOMICAL, CRITERIA, DIGITS, STATES, Judge
from hand_env.anatomy.crop_step import Frames, cut_out
from hand_env.anatomy.judge import SMALLEST_HAND, _anatomy, _decided, _doubts, _judgement, _score, _usual_sharpness
from hand_env.anatomy.measures import sharpness
from hand_env.anatomy.network import ARCHITECTURES, build_network, parse_both_ways
from hand_env.anatomy.weights import Calibration, load_network
from vae.images.labelled.vocabulary import (
    ABSENT,
    EXTRA_FINGER,
    EXTRA_GHOST,
    EXTRA_THUMB,
    FUSED,
    GHOST,
    REASONS,
    SEGMENT_ADDED,
    SEGMENT_MISSING,
    TOO_LONG,
    TOO_SHORT,
)

FINE = {name: torch.ones(1) for name in ("whole", "hand", "states", "extra")}
JOINTS = [[float(k), float(k)] for k in range(21)]


def fails(states=(0, 0, 0, 0, 0), extra=0, **margins):
    holds = _anatomy(torch.tensor([states]), torch.tensor([extra]), {**FINE, **margins})[0].tolist()
    return {name for name, held in zip(ANATOMICAL, holds, strict=True) if not held}


def count(states=(0, 0, 0, 0, 0), extra=0, palm=True):
    holds = [palm] + [True] * (len(CRITERIA) - 1)
    judgement = _judgement(list(states), extra, holds, 30.0, 0.0, 1.0, 1.0, JOINTS)
    return judgement.fingers, judgement.thumbs, judgement.unplaced


@pytest.fixture(scope="module")
def packaged():
    return Judge.load()


@pytest.fixture
def calibrated(packaged):
    """A function from other limits to the packaged judge with them."""
    return lambda **changes: Judge(packaged.network, replace(packaged.calibration, **changes))


@pytest.fixture(scope="module")
def in_frames(hands):
    """(4, 3, 128, 128): the hands amid a plain ground, half as large as the picture."""
    pictures = torch.full((4, 3, 128, 128), 0.95)
    pictures[:, :, 32:96, 32:96] = hands
    return pictures


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_parses_whatever_its_architecture(architecture):
    network = build_network(architecture, 1).eval()
    parse = network(torch.rand(2, 3, network.size, network.size))
    assert parse.regions.shape[:2] == (2, 8)
    assert parse.joints.shape == (2, 21, 2)
    assert parse.states.shape == (2, len(DIGITS), len(STATES))
    assert bool(((parse.joints > 0) & (parse.joints < 1)).all())
    assert torch.allclose(parse.feature.norm(dim=1), torch.ones(2), atol=1e-5)


def test_weights_of_both_architectures_fit_into_ten_megabytes():
    for architecture in ARCHITECTURES:
        assert 2 * sum(p.numel() for p in build_network(architecture).parameters()) < 10_000_000


def test_building_a_network_leaves_the_global_random_states_alone(monkeypatch):
    before, seeds_of_gpus = torch.get_rng_state(), list[int]()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds_of_gpus.append)
    build_network("reporter", seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert seeds_of_gpus == []


def test_judgements_with_features_are_those_of_judge_and_features_from_one_look(judge, hands, monkeypatch):
    expected, features = judge.judge(hands), judge.features(hands)
    find = Mock(side_effect=judge.find)
    monkeypatch.setattr(judge, "find", find)
    judgements, described = judge.judge_with_features(hands)
    assert judgements == expected
    assert torch.equal(described, features)
    assert sum(len(call.args[0]) for call in find.mock_calls) == len(hands)


@pytest.mark.parametrize("size", [32, 64, 100, 128])
def test_a_judgement_is_whole_at_any_size(judge, size):
    judgements = judge.judge(torch.rand(3, 3, size, size))
    assert len(judgements) == 3
    for judgement in judgements:
        assert [digit.name for digit in judgement.digits] == list(DIGITS)
        assert 0 <= judgement.score <= 1
        assert judgement.anatomical == (not set(judgement.failures) & set(ANATOMICAL))
        assert judgement.correct == (not judgement.failures)
        assert all(0 <= x <= size and 0 <= y <= size for digit in judgement.digits for x, y in digit.joints)


def test_a_picture_is_judged_alike_alone_and_among_others(judge, hands):
    together, alone = judge.judge(hands)[2], judge.judge(hands[2:3])[0]
    assert together.score == pytest.approx(alone.score, abs=1e-5)
    assert together.failures == alone.failures


def test_a_hand_and_its_mirror_image_are_judged_alike(judge, hands):
    for there, back in zip(judge.judge(hands), judge.judge(hands.flip(3)), strict=True):
        assert there.score == pytest.approx(back.score, abs=1e-5)
        assert there.failures == back.failures
        assert there.up_degrees == pytest.approx(-back.up_degrees, abs=1e-2)
        for (x, y), (u, v) in zip(there.digits[0].joints, back.digits[0].joints, strict=True):
            assert (x, y) == pytest.approx((64 - u, v), abs=1e-2)


def test_the_score_alone_is_that_of_the_judgement(judge, hands):
    assert judge.score(hands).tolist() == pytest.approx([j.score for j in judge.judge(hands)], abs=1e-6)


def test_the_verdict_alone_is_that_of_the_judgement(hands):
    judge = Judge.load()
    pictures = torch.cat([hands, hands.flip(1), 1 - hands, 0 * hands, hands])  # more than the judge takes at a time
    verdicts = judge.correct(pictures)
    assert verdicts.tolist() == [float(judgement.correct) for judgement in judge.judge(pictures)]
    assert 0 < verdicts.mean() < 1
    assert verdicts.dtype == torch.float32
    judge.calibration = replace(judge.calibration, doubts={**judge.calibration.doubts, "cut": -99.0})
    assert not any(judgement.failures for judgement in judge.judge(hands))
    assert not judge.correct(hands).any()  # a hand that is cut off is not trusted


def test_a_hand_with_nothing_the_matter_has_four_fingers_and_a_thumb():
    assert fails() == set()
    assert count() == (4, 1, 0)


def test_each_finding_fails_its_criterion_and_changes_the_count():
    assert fails((ABSENT, 0, 0, 0, 0)) == {"thumb"}
    assert count((ABSENT, 0, 0, 0, 0)) == (4, 0, 0)
    assert fails((0, ABSENT, 0, 0, 0)) == {"fingers"}
    assert count((0, ABSENT, 0, 0, 0)) == (3, 1, 0)
    assert fails((0, 0, FUSED, FUSED, 0)) == {"fingers", "separate"}
    assert count((0, 0, FUSED, FUSED, 0)) == (3, 1, 0)
    assert count((0, 0, FUSED, 0, 0)) == (3, 1, 0)
    assert fails((0, SEGMENT_ADDED, 0, 0, 0)) == {"segments"}
    assert count((0, 0, FUSED, FUSED, FUSED)) == (2, 1, 0)
    assert fails((0, SEGMENT_MISSING, 0, 0, 0)) == {"segments"}
    assert fails((TOO_LONG, 0, 0, 0, 0)) == fails((0, TOO_SHORT, 0, 0, 0)) == {"proportions"}
    assert fails((0, 0, 0, GHOST, 0)) == fails(extra=EXTRA_GHOST) == {"solid"}
    assert fails(extra=EXTRA_FINGER) == {"fingers"}
    assert count(extra=EXTRA_FINGER) == (5, 1, 1)
    assert fails(extra=EXTRA_THUMB) == {"thumb"}
    assert count(extra=EXTRA_THUMB) == (4, 2, 1)
    assert fails(hand=torch.tensor([-1.0])) == {"palm"}
    assert fails(whole=torch.tensor([-1.0])) == {"whole"}


def test_without_a_hand_nothing_is_counted():
    assert count(extra=EXTRA_FINGER, palm=False) == (0, 0, 0)


def test_a_hand_that_is_wrong_as_a_whole_names_the_digits_that_look_wrong():
    states = torch.full((1, 5, len(STATES)), -5.0)
    states[:, :, 0] = 1.0
    states[0, 2, ABSENT] = 2.0
    extra = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    parse = SimpleNamespace(states=states, extra=extra)
    assert _decided(parse, FINE)[0].tolist() == [[0, 0, 0, 0, 0]]
    assert _decided(parse, {**FINE, "whole": -torch.ones(1)})[0].tolist() == [[0, 0, ABSENT, 0, 0]]
    states[0, 2, ABSENT] = 0.5
    assert _decided(parse, {**FINE, "states": -torch.ones(1)})[0].tolist() == [[0, 0, ABSENT, 0, 0]]
    assert _decided(parse, {**FINE, "extra": -torch.ones(1)})[1].tolist() == [EXTRA_FINGER]


def test_segments_follow_the_state_of_a_digit():
    states = [0, ABSENT, SEGMENT_ADDED, SEGMENT_MISSING, TOO_SHORT]
    digits = _judgement(states, 0, [True] * len(CRITERIA), 30.0, 0.0, 1.0, 1.0, JOINTS).digits
    assert [digit.segments for digit in digits] == [2, 0, 4, 2, 3]
    assert [len(digit.joints) for digit in digits] == [4, 0, 4, 4, 4]
    assert [digit.human for digit in digits] == [True, True, True, True, False]


def test_the_score_falls_with_each_fault():
    zero, one = torch.zeros(1), torch.ones(1)
    best = _score(FINE, zero, zero, one)
    assert _score({**FINE, "whole": -one}, zero, zero, one) < best
    for name in ("hand", "states", "extra"):
        assert _score({**FINE, name: -one}, zero, zero, one) < best
    assert _score(FINE, 10 * one, zero, one) < best
    assert _score(FINE, zero, 180 * one, one) < 0.1 * best
    assert _score(FINE, zero, zero, 0.5 * one) < best


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, "floating-point tensor"),
        ([1, 2], TypeError, "got 'list'"),
        (torch.zeros(3, 64, 64), ValueError, "shape"),
        (torch.zeros(0, 3, 64, 64), ValueError, "n >= 1"),
        (torch.zeros(1, 1, 64, 64), ValueError, "shape"),
        (torch.zeros(1, 3, 64, 48), ValueError, "squares"),
        (torch.zeros(1, 3, 16, 16), ValueError, "S >= 32"),
        (torch.full((1, 3, 32, 32), torch.nan), ValueError, "NaN"),
        (torch.full((1, 3, 32, 32), 2.0), ValueError, r"\[0, 1\]"),
        (torch.full((1, 3, 32, 32), -0.01), ValueError, r"\[0, 1\]"),
    ],
)
def test_bad_input_is_one_clear_error(judge, images, error, words):
    with pytest.raises(error, match=words):
        judge.judge(images)


def test_missing_and_foreign_weights_are_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="judge-train"):
        load_network(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="judge's weights"):
        load_network(tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match="architecture must be one of"):
        build_network("oracle")


def test_weights_survive_being_stored(weights):
    network, calibration = load_network(weights)
    fresh = build_network("parser", 0).eval()
    images = torch.rand(2, 3, 96, 96)
    assert torch.allclose(network(images).whole, fresh(images).whole, atol=2e-2)
    assert calibration.limits["whole"] == -5.0


def test_the_architecture_is_read_under_its_old_name_too_and_said_to_have_another_now(weights, tmp_path):
    with safe_open(weights, framework="pt") as stored:
        known = json.loads(stored.metadata()["calibration"])
    known["make"] = known.pop("architecture")
    save_file(load_file(weights), tmp_path / "old.safetensors", {"calibration": json.dumps(known)})
    with pytest.warns(FutureWarning, match=r"old.safetensors' is from an earlier version: 'make' is now called 'arch"):
        network, read = load_network(tmp_path / "old.safetensors")
    assert read == load_network(weights)[1]
    assert network.state_dict().keys() == load_network(weights)[0].state_dict().keys()


def test_a_file_of_the_first_version_loads_and_doubts_nothing(hands, weights, tmp_path):
    with safe_open(weights, framework="pt") as stored:
        known = json.loads(stored.metadata()["calibration"])
    del known["doubts"]
    tensors = {name: value for name, value in load_file(weights).items() if "answers.doubts" not in name}
    save_file(tensors, tmp_path / "first.safetensors", {"calibration": json.dumps(known)})
    judgements = Judge.load(tmp_path / "first.safetensors").judge(hands)
    assert all(judgement.trusted and judgement.doubts == () for judgement in judgements)


def test_what_is_not_trusted_is_never_correct(hands, weights):
    judge = Judge.load(weights)
    judge.calibration = replace(  # everything is cut off
        judge.calibration,
        doubts={"cut": -99.0, "drawn": 99.0, "bent": 99.0, "unsure below": 0.0, "unsure above": 0.0},
    )
    for judgement in judge.judge(hands):
        assert not judgement.trusted
        assert not judgement.correct
        assert "cut by the frame" in judgement.doubts


def test_with_the_crop_joints_are_places_in_the_picture_and_the_box_is_known(hands, judge):
    small = torch.full((4, 3, 128, 128), 0.9)
    small[:, :, 60:124, 8:72] = hands
    for judgement in judge.judge(small, crop=True):
        x, y, side = judgement.box
        assert 0 <= x <= 128
        assert 0 <= y <= 128
        assert side > 0
        assert -180 <= judgement.up_degrees <= 180


def test_as_long_as_nothing_is_cut_out_the_crop_changes_nothing(hands, judge, monkeypatch):
    module = sys.modules[Judge.__module__]
    monkeypatch.setattr(
        module, "frame_hands", lambda joints, up, hand: module.whole_pictures(len(joints), joints.device)
    )
    plain, cropped = judge.judge(hands), judge.judge(hands, crop=True)
    assert [j.failures for j in plain] == [j.failures for j in cropped]


@pytest.mark.parametrize(
    ("name", "limits"),
    [("tone", (-91.0, -90.5)), ("tone", (90.5, 91.0)), ("hue", (-182.0, -181.0)), ("hue", (181.0, 182.0))],
)
def test_a_colour_beyond_either_limit_is_no_skin_and_lowers_the_score(packaged, calibrated, hands, name, limits):
    for odd, before in zip(calibrated(**{name: limits}).judge(hands), packaged.judge(hands), strict=True):
        assert "skin" in odd.failures
        assert not odd.tone_human
        assert "skin" not in before.failures
        assert odd.score < before.score


DOUBTLESS = {"cut": 99.0, "drawn": 99.0, "bent": 99.0, "unsure below": 0.0, "unsure above": 0.0}


@pytest.mark.parametrize(("name", "reason"), [("cut", 3), ("drawn", 4), ("bent", 5)])
def test_each_doubt_of_the_network_has_its_own_reason(calibrated, hands, name, reason):
    doubting = calibrated(doubts={**DOUBTLESS, name: -99.0})
    large = F.interpolate(hands, size=(128, 128))
    assert {judgement.doubts for judgement in doubting.judge(large)} == {(REASONS[reason],)}


def test_an_unsure_verdict_is_said_to_be_cluttered_only_where_the_ground_is(packaged, calibrated, hands):
    unsure = calibrated(doubts={**DOUBTLESS, "unsure below": -99.0, "unsure above": 99.0})
    large = F.interpolate(hands, size=(128, 128))
    assert {judgement.doubts for judgement in unsure.judge(large)} == {("unsure",)}
    checks = torch.arange(128) // 8 % 2
    board = ((checks[:, None] + checks) % 2).float().expand(4, 3, -1, -1)
    ground = F.interpolate((packaged.find(large).map.softmax(1)[:, :1] > 0.9).float(), size=(128, 128)).bool()
    assert any("too cluttered" in judgement.doubts for judgement in unsure.judge(torch.where(ground, board, large)))


@pytest.mark.parametrize(("whole", "unsure"), [(5.0, True), (-3.0, False)])
def test_a_verdict_is_unsure_if_its_worst_margin_is(packaged, hands, whole, unsure):
    seen = F.interpolate(hands[:1], size=(packaged.network.size,) * 2)
    margins = {"whole": whole * torch.ones(1), "hand": torch.ones(1), "states": torch.zeros(1), "extra": torch.ones(1)}
    known = replace(packaged.calibration, doubts={**DOUBTLESS, "unsure below": -1.0, "unsure above": 1.0})
    doubts = _doubts(packaged.find(seen).parse, margins, seen, torch.tensor([128.0]), known)
    assert bool(doubts[0, [2, 6]].any()) == unsure  # too cluttered, or just unsure


def test_a_hand_is_small_by_its_longer_side_in_pixels_of_the_picture(packaged, hands):
    pictures = torch.full((8, 3, 128, 128), 0.9)
    for row, side in enumerate((22, 22, 24, 24, 40, 40, 48, 48)):
        pictures[row, :, 40 : 40 + side, 40 : 40 + side] = F.interpolate(
            hands[row % 4][None], size=(side, side), mode="area"
        )[0]
    found = packaged.find(pictures, crop=True)
    extent = (found.parse.joints.amax(1) - found.parse.joints.amin(1)).amax(1) * found.frames.side * 128
    assert found.doubts[:, 1].tolist() == (extent < SMALLEST_HAND).tolist()
    assert 0 < found.doubts[:, 1].sum() < 8


def test_sharpness_is_shown_over_the_median_and_scored_over_the_limit(packaged, hands):
    blurred = F.avg_pool2d(hands, 5, 1, 2)
    found, (median, limit) = packaged.find(blurred), _usual_sharpness(64, packaged.calibration)
    torch.testing.assert_close(found.sharpness, sharpness(blurred) / median)
    scores = _score(found.margins, torch.zeros(4), found.up, sharpness(blurred) / limit)
    torch.testing.assert_close(found.score, scores)


def test_the_usual_sharpness_lies_between_the_sizes_that_were_measured():
    known = Calibration("parser", {}, sharpness=((32, 0.6, 0.4), (64, 0.5, 0.2), (128, 0.4, 0.1)))
    assert _usual_sharpness(48, known) == pytest.approx((0.55, 0.3))
    assert _usual_sharpness(16, known) == (0.6, 0.4)
    assert _usual_sharpness(256, known) == (0.4, 0.1)


def test_the_crop_does_not_change_the_sharpness(packaged, in_frames):
    plain, cropped = packaged.judge(in_frames), packaged.judge(in_frames, crop=True)
    assert any(judgement.box[2] < 128 for judgement in cropped)
    assert [judgement.sharpness for judgement in cropped] == pytest.approx([judgement.sharpness for judgement in plain])


def test_a_turned_hand_s_direction_is_that_in_the_picture(packaged, in_frames):
    upright = packaged.judge(in_frames, crop=True)
    aside = packaged.judge(in_frames.rot90(-1, (2, 3)), crop=True)  # a quarter turn clockwise
    assert any(abs(judgement.turn_degrees) > 45 for judgement in aside)
    for before, after in zip(upright, aside, strict=True):
        assert (after.up_degrees - before.up_degrees + 180) % 360 - 180 == pytest.approx(90, abs=25)


def test_a_cut_out_square_is_parsed_both_ways(packaged, hands, monkeypatch):
    frames = Frames(torch.tensor([[0.45, 0.5]] * 3 + [[0.5, 0.5]]), torch.tensor([0.9, 0.9, 0.9, 1]), torch.zeros(4))
    monkeypatch.setattr(sys.modules[Judge.__module__], "frame_hands", lambda *_: frames)
    found = packaged.find(hands, crop=True).parse
    with torch.no_grad():
        parse = parse_both_ways(packaged.network, cut_out(hands, frames, packaged.network.size)[:3])
    torch.testing.assert_close(found.whole[:3], parse.whole, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.joints[:3], parse.joints, rtol=1e-3, atol=1e-3)
