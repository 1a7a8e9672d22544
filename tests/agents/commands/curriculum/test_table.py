import pytest

from agents.commands.curriculum.store import VAERecord
from agents.commands.curriculum.table import make_tables, over_seeds
from agents.figures.yardstick import COLUMNS
from vae.distribution import Estimate


def record(method="none", seed=0, n="80", epochs=1, value=0.5, samplers=("mixture",), missing=""):
    figures = {} if missing else dict.fromkeys(COLUMNS, Estimate(value, 0.4, 0.6))
    of_vae = {} if missing else {"validation_loss_nats": -100.0 * value, "validation_kl_nats": 40.0}
    drawn = {} if missing else dict.fromkeys(samplers, figures)
    return VAERecord(n, 80, epochs, 40, method, seed, vae=of_vae, samplers=drawn, missing=missing)


def test_a_cell_holds_the_mean_over_seeds_with_student_s_interval():
    text = make_tables([record(seed=seed, value=value) for seed, value in enumerate((0.2, 0.3, 0.4))], ["correct"])
    assert "correct %, 1 epoch:\n\n| N, sampler | 80, mixture        |" in text
    assert "| none       | 30.0 (5.2 to 54.8) |" in text  # t for 2 degrees of freedom is 4.303
    assert "| none | -30 (-55 to -5) |" in text
    assert "Mean over 3 seeds (95 % interval by Student's t over seeds)." in text


def test_one_seed_keeps_its_own_interval():
    assert over_seeds([Estimate(0.5, 0.4, 0.6)]) == Estimate(0.5, 0.4, 0.6)
    assert "| 50.0 (40.0 to 60.0) |" in make_tables([record()], ["correct"])


def test_rows_are_methods_in_their_order_and_columns_are_n_and_sampler_in_theirs():
    records = [
        record("kl-4", n="all"),
        record("uniform-2"),
        record("none", samplers=("prior", "normal")),
        record(n="8", epochs=100),
    ]
    text = make_tables(records, ["new"])
    first, second = (part for part in text.split("\n\n") if part.startswith("| N, sampler"))
    heads = [head.strip() for head in first.splitlines()[0].strip("|").split(" | ")]
    assert heads == ["N, sampler", "80, normal", "80, mixture", "80, prior", "all, mixture"]
    assert [line.split()[1] for line in first.splitlines()[2:]] == ["none", "uniform-2", "kl-4"]
    assert "| kl-4       | -                   | -" in first
    assert second.splitlines()[0].startswith("| N, sampler | 8, mixture")
    assert "new %, 100 epochs:" in text
    assert "'all' are 80 training pictures." in text


def test_what_diverged_is_left_out_and_named():
    text = make_tables([record(), record(seed=1), record("uniform-8", missing="the VAE diverged")], ["correct"])
    assert "| uniform-8  | -" in text
    assert "Left out: uniform-8, N = 80, 1 epoch, seed 0: the VAE diverged." in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_every_line_of_a_table_is_as_long_as_its_head(seeds):
    records = [record(method, seed) for method in ("none", "uniform-0.1", "falling-2") for seed in range(seeds)]
    for part in make_tables(records).split("\n\n"):
        assert len({len(line) for line in part.splitlines() if line.startswith("|")}) <= 1
