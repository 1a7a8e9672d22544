import pytest
import torch

from agents.figures.yardstick import COLUMNS, PLAIN, Judges, Yardstick, spread
from hand_env.anatomy import Judge, wilson
from hand_env.anatomy.novelty import judge_novelty
from vae import StandardNormal, VAEConfig, build_vae
from vae.images import to_float, to_uint8
from vae.images.synthetic import generate_hands


@pytest.fixture(scope="module")
def hands():
    return generate_hands(24, 32, seed=4).images


@pytest.fixture(scope="module")
def yardstick(hands):
    return Yardstick(Judges(Judge.load(), Judge.load(architecture="reporter")), hands[:6], hands[6:14])


def test_the_figures_are_those_of_the_judgements(yardstick, hands):
    pictures = torch.cat([hands[14:], torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)])
    found = yardstick.figures(pictures)
    assert list(found) == list(COLUMNS)
    judged = yardstick.judges.reporter.judge(to_float(pictures))
    shares = {
        "correct": [each.correct for each in judged],
        "anatomical": [each.anatomical for each in judged],
        "untrusted": [not each.trusted for each in judged],
        "skin": [each.tone_human for each in judged],
        "plain": [False] * 10 + [True] * 2,
    }
    for name, each in shares.items():
        rate = wilson(sum(each), len(each))
        assert (found[name].value, found[name].low, found[name].high) == (rate.share, rate.low, rate.high), name
    assert 0 < found["correct"].value < 1
    assert found["score"].value == pytest.approx(sum(each.score for each in judged) / 12, abs=1e-5)
    paid = yardstick.judges.parser.score(to_float(pictures))
    assert found["score_by_parser"].value == pytest.approx(float(paid.mean()), abs=1e-5)
    assert found["score"].low < found["score"].value < found["score"].high
    new = judge_novelty(yardstick.judges.reporter, to_float(pictures), to_float(hands[:6]), to_float(hands[6:14])).new
    assert found["new"].value == pytest.approx(float(new.float().mean()))


def test_a_copy_of_a_training_picture_is_not_new(yardstick, hands):
    assert yardstick.figures(hands[:6])["new"].value == 0


def test_hands_are_drawn_from_the_sampler_and_repeat_by_seed(yardstick):
    vae = build_vae(VAEConfig(32, 6), seed=1).eval().requires_grad_(False)
    figures, pictures = yardstick.measure(vae, StandardNormal(6), 20, seed=3)
    expected = to_uint8(vae.decode(StandardNormal(6).sample(20, seed=3)).clamp(0, 1))
    assert (pictures.int() - expected.int()).abs().max() <= 1
    again, _ = yardstick.measure(vae, StandardNormal(6), 20, seed=3)
    assert again == figures


def test_a_plain_square_of_any_colour_has_no_spread_and_a_hand_has_more_than_the_limit(hands):
    square = torch.tensor([0.9, 0.2, 0.4])[None, :, None, None].expand(1, 3, 32, 32)
    assert spread(square).item() < 1e-6
    assert spread(to_float(hands)).min() > PLAIN
