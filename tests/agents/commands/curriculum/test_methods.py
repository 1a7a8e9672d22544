import pytest

from agents.commands.curriculum.methods import DEFAULT, TrainingMethod, order_of, parse_method


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("none", TrainingMethod("none")),
        ("uniform-0.3", TrainingMethod("uniform-0.3", "uniform", 0.3)),
        ("falling-6", TrainingMethod("falling-6", "falling", 6.0)),
        ("kl-16", TrainingMethod("kl-16", kl_weight=16.0)),
        ("uniform-2+kl-4", TrainingMethod("uniform-2+kl-4", "uniform", 2.0, 4.0)),
        ("kl-4+falling-2", TrainingMethod("kl-4+falling-2", "falling", 2.0, 4.0)),
        ("untrained", TrainingMethod("untrained", "untrained")),
        ("rows", TrainingMethod("rows", "rows")),
        ("schedule+kl-2", TrainingMethod("schedule+kl-2", "schedule", kl_weight=2.0)),
    ],
)
def test_a_name_says_how_the_latents_are_acted_on(name, method):
    assert parse_method(name) == method


@pytest.mark.parametrize(
    "name",
    "|uniform|uniform-|uniform-0|uniform--1|uniform-nan|falling-inf|kl-x|sac|untrained-2|uniform-1+falling-2|kl-2+kl-4|none+kl-2|none-1|uniform-1+".split(
        "|"
    ),
)
def test_another_name_is_refused_with_the_grammar(name):
    with pytest.raises(ValueError, match=r"--methods must be 'none', 'uniform-2' .*; got '"):
        parse_method(name)


def test_uniform_deltas_always_reach_as_far_and_falling_ones_end_at_zero():
    uniform, falling = parse_method("uniform-2"), parse_method("falling-2")
    assert [uniform.deltas(done).reach for done in (0, 0.5, 1)] == [2, 2, 2]
    assert [falling.deltas(done).reach for done in (0, 0.5, 1)] == [2, 1, 0]
    assert [parse_method(name).deltas(0.5).reach for name in ("none", "kl-8", "untrained")] == [0, 0, 0]


def test_the_rows_of_the_table_have_the_order_of_the_defaults():
    assert sorted(reversed(DEFAULT), key=order_of) == list(DEFAULT)
    assert order_of("untrained") < order_of("rows") < order_of("schedule")
