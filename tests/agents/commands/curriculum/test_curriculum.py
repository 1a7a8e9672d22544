import json

import pytest
import torch
from PIL import Image

from agents.cli import main
from agents.commands.curriculum import command, measuring
from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.training import train_group
from agents.figures.yardstick import COLUMNS
from vae.distribution import Estimate

QUICK = ["--images", "200", "--size", "32", "--latent-dim", "6", "--n", "8", "--epochs", "1", "--device", "cpu"]
FIGURES = dict.fromkeys(COLUMNS, Estimate(0.5, 0.4, 0.6))


class Quick:
    """Stands in for the yardstick: the judges judge 30 pictures a second on a core."""

    measured: list[str]

    def __init__(self, judges, training, held_out):
        assert len(training) == 8
        assert len(held_out) == 20

    def measure(self, vae, sampler, n, seed):
        Quick.measured.append(type(sampler).__name__)
        return FIGURES, torch.zeros(n, 3, 32, 32, dtype=torch.uint8)


@pytest.fixture
def quick(monkeypatch):
    Quick.measured = []
    monkeypatch.setattr(measuring, "Yardstick", Quick)


def run(out, *words):
    return main(["curriculum", *QUICK, "--pack", str(out.parent / "pack.safetensors"), "--out", str(out), *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n", "8", "161"], "--n must be at most 160, the training pictures, got 161. Use 'all'."),
        (["--n", "all", "8", "--batch-size", "9"], "--batch-size must be at most 8, the smallest of --n, got 9."),
        (["--n", "\u00b2"], "--n must be a number of at least 2, or 'all', got '\u00b2'."),
    ],
)
def test_numbers_that_the_pictures_do_not_allow_are_refused_before_any_training(tmp_path, capsys, words, message):
    assert run(tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_curriculum_resumes_where_it_was_stopped_and_measures_no_vae_twice(quick, monkeypatch, capsys, tmp_path):
    words = ["--methods", "none", "uniform-2", "--seeds", "0", "1", "--samplers", "normal", "mixture"]
    measure = Quick.measure

    def stops_in_the_third_vae(*given):
        if len(Quick.measured) == 5:
            raise KeyboardInterrupt
        return measure(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Quick, "measure", stops_in_the_third_vae)
        assert run(tmp_path / "out", *words) == 130
    content = json.loads((tmp_path / "out" / "curriculum.json").read_text())
    assert [(cell["method"], cell["seed"]) for cell in content["cells"]] == [("none", 0), ("uniform-2", 0)]
    Quick.measured.clear()
    assert run(tmp_path / "out", *words) == 0
    assert Quick.measured == ["StandardNormal", "Mixture"] * 2
    text = capsys.readouterr().out
    assert "| none       | 50.0 (50.0 to 50.0) | 50.0 (50.0 to 50.0) |" in text
    assert "Mean over 2 seeds" in text
    assert run(tmp_path / "out", *words) == 0
    assert len(Quick.measured) == 4
    assert capsys.readouterr().out == text


def test_a_folder_without_figures_is_not_joined_and_no_picture_is_made_before(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "read_packed", lambda *_: pytest.fail("pictures were made"))
    with pytest.raises(FileNotFoundError, match=r"--join '.*absent' must hold a curriculum\.json, and there is none"):
        command.curriculum(CurriculumArgs(join=[tmp_path / "absent"], out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_another_sampler_joins_the_figures_of_a_vae_and_the_learned_prior_is_for_chosen_methods(
    quick, monkeypatch, capsys, tmp_path
):
    fitted: list[object] = []

    def fit_mixture(subject):
        fitted.append("mixture")
        return "sampler"

    def fit_priors(subjects, steps):
        fitted.append([subject.seed for subject in subjects])
        return [{"prior": "sampler", "denoised": "sampler"} for _ in subjects]

    monkeypatch.setattr(measuring, "fit_mixture", fit_mixture)
    monkeypatch.setattr(measuring, "fit_priors", fit_priors)
    words = ["--methods", "none", "kl-2", "--seeds", "0", "--samplers"]
    assert run(tmp_path / "out", *words, "mixture") == 0
    assert fitted == ["mixture", "mixture"]
    fitted.clear()
    assert run(tmp_path / "out", *words, "mixture", "prior", "denoised", "--prior-for", "kl-2") == 0
    assert fitted == [[0]]
    cells = json.loads((tmp_path / "out" / "curriculum.json").read_text())["cells"]
    assert {cell["method"]: list(cell["samplers"]) for cell in cells} == {
        "none": ["mixture"],
        "kl-2": ["mixture", "prior", "denoised"],
    }
    assert {"training", "fitting mixture", "fitting prior", "measuring denoised"} <= set(cells[1]["seconds"])


def test_with_the_real_judges_a_vae_gets_all_its_figures_and_a_grid(capsys, tmp_path):
    words = ["--methods", "untrained", "--seeds", "3", "--samplers", "normal", "--hands", "20", "--pictures"]
    assert run(tmp_path / "out", *words) == 0
    (cell,) = json.loads((tmp_path / "out" / "curriculum.json").read_text())["cells"]
    assert (cell["images"], cell["batch_size"], cell["seed"]) == (8, 4, 3)
    assert set(cell["samplers"]["normal"]) == set(COLUMNS)
    assert cell["vae"]["validation_kl_nats"] > 0
    with Image.open(tmp_path / "out" / "pictures" / "8-1-untrained-3-normal.png") as grid:
        assert grid.size == (10 * 34 + 2, 2 * 34 + 2)
    assert "| untrained  | 0.0 (0.0 to 16.1) |" in capsys.readouterr().out


def test_an_agent_s_cell_is_measured_again_for_another_agent_only(quick, make_agent, bright_drawn, capsys, tmp_path):
    words = ["--methods", "schedule", "--seeds", "0", "1", "--samplers", "normal", "--agent"]
    for agent, measured in ((0, 2), (0, 2), (1, 4)):
        assert run(tmp_path / "out", *words, str(make_agent(agent)[0])) == 0
        assert len(Quick.measured) == measured
    cells = json.loads((tmp_path / "out" / "curriculum.json").read_text())["cells"]
    assert [(cell["method"], cell["seed"]) for cell in cells] == [("schedule", 0), ("schedule", 1)]
    assert {len(cell["agent_sha256"]) for cell in cells} == {64}
    assert "| schedule   | 50.0 (50.0 to 50.0) |" in capsys.readouterr().out


def test_a_vae_that_diverged_is_left_out(quick, monkeypatch, capsys, tmp_path):
    def breaks(*given):
        (trained,) = train_group(*given)
        for parameter in trained.trainer.averaged_vae.parameters():
            parameter.data.fill_(float("nan"))
        return [trained]

    monkeypatch.setattr(command, "train_group", breaks)
    assert run(tmp_path / "out", "--methods", "uniform-8", "--seeds", "0") == 0
    assert Quick.measured == []
    assert "Left out: uniform-8, N = 8, 1 epoch, seed 0: the VAE diverged." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "8", "many"], "--n must be a number of at least 2, or 'all', got 'many'."),
        (["--n", "1"], "--n must be a number of at least 2, or 'all', got '1'."),
        (["--epochs", "0"], "--epochs must be at least 1, got 0."),
        (["--seeds", "-1"], "--seeds must be at least 0, got -1."),
        (["--seeds", "1", "1"], "--seeds must list at least one value, none twice, got [1, 1]."),
        (["--methods", "sac"], "--methods must be 'none', 'uniform-2'"),
        (["--methods", "schedule"], "--agent must name the file of a trained agent of HandSchedule-v0"),
        (
            ["--samplers", "gaussian"],
            "--samplers must be one of 'normal', 'mixture', 'prior', 'denoised', got 'gaussian'.",
        ),
        (["--prior-for", "kl-64"], "--prior-for must name some of --methods, got 'kl-64'."),
        (["--hands", "5"], "--hands must be at least 20, got 5."),
        (["--side-by-side", "0"], "--side-by-side must be at least 1, got 0."),
        (["--size", "48"], "--size must be one of 32, 64, 128, 256, got 48."),
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0."),
        (["--device", "cuda:99"], "device 'cuda:99' is not on this machine"),
        (["--agent", "absent"], "--agent 'absent' must be the file of a trained agent, and there is none."),
        (["--parser", "absent"], "'absent' is missing"),
        (["--data", "absent"], "'absent'"),
    ],
)
def test_a_wrong_setting_is_one_sentence(capsys, tmp_path, words, said):
    assert run(tmp_path / "out", *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "it/s]" not in line]
    assert len(lines) == 1, lines
    assert said in lines[0]
