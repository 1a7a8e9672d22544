import json
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Command

from agents import load_run
from agents.cli import main
from agents.commands.compare import CompareArgs, command, compare, load_compared_run
from agents.commands.compare.command import run_names
from agents.commands.compare.figures import Gauge
from agents.commands.compare.loaded_run import BatchAgent, Remembered
from hand_env.anatomy.network import build_network
from hand_env.anatomy.weights import Calibration, save_network
from vae.images.overview import is_overview
from vae.images.synthetic import generate_hands
from vae.sampling.sampler import StandardNormal

LIMITS = {"whole": -5.0, "hand": -5.0, "states": -9.0, "extra": -9.0}
AGENTS = ["--agents", "none", "sac-refine", "best-of", "--rounds", "1", "--best-of", "2"]
QUICK = ["--samplers", "mixture", "prior", *AGENTS, "--n", "20", "--device", "cpu"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number, picture in enumerate(generate_hands(200, 32, seed=9).images):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", "--images", "24", "--size", "32", "--epochs", "1", "--batch-size", "4", "--latent-dim", "5"]
    for seed in ("0", "1"):
        out = str(folder / f"seed{seed}")
        assert main([*words, "--agent", "none", "--device", "cpu", "--seed", seed, "--out", out]) == 0
    return [str(folder / f"seed{seed}") for seed in "01"]


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "judge.safetensors"
    save_network(path, build_network("reporter", 0), Calibration("reporter", LIMITS))
    return ["--parser", str(path), "--reporter", str(path)]


def finished_cells(path):
    content = json.loads(path.read_text()) if path.is_file() else {"cells": []}
    return sum(bool(cell["figures"]) for key in ("cells", "other_cells") for cell in content.get(key, []))


def fails(capsys, *words):
    assert main(["compare", *map(str, words)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "it/s]" not in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_folder_of_runs_stands_for_its_finished_ones(capsys, monkeypatch, runs, photographs):
    unfinished = Path(runs[0]).parent / "seed10"
    unfinished.mkdir()
    shutil.copy(Path(runs[0]) / "config.json", unfinished)
    taken: list[CompareArgs] = []
    monkeypatch.setattr(command, "_compare", lambda args, loaded, device: taken.append(args))
    compare(CompareArgs([Path(runs[0]).parent], data=photographs, device="cpu"))
    shutil.rmtree(unfinished)
    assert [str(run) for run in taken[0].runs] == runs
    assert capsys.readouterr().err == f"Left out: '{unfinished}' is not finished.\n"


def test_a_table_over_two_runs_resumes_where_it_was_killed(capsys, monkeypatch, runs, judges, photographs, tmp_path):
    words = ["compare", *runs, "--data", str(photographs), *QUICK, *judges, "--out", str(tmp_path / "out")]
    for cells in (1, 3):
        process = Command(tmp_path / "errors", *words)
        while process.alive and finished_cells(tmp_path / "out" / "compare.json") < cells:
            time.sleep(0.02)
        assert process.send(signal.SIGKILL) == -signal.SIGKILL
    before = finished_cells(tmp_path / "out" / "compare.json")
    measured: list[object] = []
    measure = Gauge.measure

    def counted(*given, **settings):
        measured.append(given)
        return measure(*given, **settings)

    monkeypatch.setattr(Gauge, "measure", counted)
    assert main(words) == 0
    assert before + len(measured) == 6  # in each run the photographs and two cells, none of them twice
    table = capsys.readouterr().out
    assert "| mixture     | best-of-2    | 2    |" in table
    assert "Left out: no sampler 'prior' in seed0, seed1." in table
    assert "held out: 20 photographs of 20 people" in table

    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [row["runs"] for row in content["table"]] == [2, 2, 0, 2, 0]
    assert content["settings"]["n"] == 20
    assert content["settings"]["features"] == "lite2"
    assert len(content["settings"]["features_sha256"]) == 64
    drawn = [row["figures"] for row in content["table"] if row["runs"] and row["sampler"] != "photographs"]
    assert len(drawn) == 2
    assert all(0 <= figures["new_by_features"]["value"] <= 1 for figures in drawn)
    assert "'new by features' are by the features of EfficientNet-Lite2." in table
    pairs = {path.name for path in (tmp_path / "out").glob("*-nearest.png")}
    assert pairs == {"seed0-mixture-none-nearest.png", "seed1-mixture-none-nearest.png"}  # no run has a refiner
    assert [run["run"] for run in content["runs"]] == ["seed0", "seed1"]
    with Image.open(tmp_path / "out" / "seed1-mixture-best-of-2.png") as grid:
        assert grid.size == (10 * 34 + 2, 2 * 34 + 2)
    assert is_overview(tmp_path / "out" / "compare.png")

    assert main(words) == 0
    assert before + len(measured) == 6
    assert capsys.readouterr().out == table
    assert "with n 20, not 21" in fails(capsys, *words[1:], "--n", 21)
    assert "with features 'lite2', not 'lite0'" in fails(capsys, *words[1:], "--features", "lite0")


@pytest.mark.usefixtures("real_channels")
def test_runs_that_share_vae_and_sampler_share_the_cells_that_depend_on_nothing_else(
    capsys, monkeypatch, plain_run, refined_run, judges, photographs
):
    words = ["compare", str(plain_run), str(refined_run), "--data", str(photographs), *QUICK, *judges]
    measured, measure = [], Gauge.measure

    def counted(*given, **settings):
        measured.append(given)
        return measure(*given, **settings)

    monkeypatch.setattr(Gauge, "measure", counted)
    assert main(words) == 0
    assert len(measured) == 4  # photographs, mixture by none and by best-of, and what the refiner of one run makes
    table = capsys.readouterr().out
    assert "| mixture     | none         | 2    |" in table
    assert "| mixture     | sac-refine-1 | 1    |" in table


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "5"], "--n must be at least 20, got 5."),
        (["--n", "1000000000000"], "--n must be at most "),
        (["--seed", "-1"], "--seed must be at least 0, got -1."),
        (
            ["--samplers", "gaussian"],
            "--samplers must be one of 'normal', 'mixture', 'prior', 'rejection', got 'gaussian'.",
        ),
        (["--samplers", "rejection"], "None of the runs has a sampler of --samplers rejection. They have mixture,"),
        (["--agents", "none", "sac"], "--agents must be one of 'none', 'random',"),
        (["--agents", "none", "none"], "--agents must list at least one value, none twice, got ['none', 'none']."),
        (["--samplers"], "--samplers must list at least one value, none twice, got []."),
        (["--features", "lite1"], "--features must be one of 'lite0', 'lite2', got 'lite1'."),
        (["--gradient-steps", "0"], "--gradient-steps must be at least 1, got 0."),
        (["--rounds", "0"], "--rounds must be at least 1, got 0."),
        (["--refine-below", "nan"], "--refine-below must be a number, or 'inf', got nan."),
        (["--best-of", "2", "0"], "--best-of must be at least 1, got 0."),
        (["--gradient-rate", "0"], "--gradient-rate must be a finite number above 0, got 0.0."),
        (
            ["--best-of", "2", "--agents", "none"],
            "--best-of is for the agent 'best-of', which --agents leaves out, got 2. Name 'best-of' in --agents, or "
            "leave --best-of out.",
        ),
        (
            ["--gradient-rate", "0.3", "--agents", "none", "best-of"],
            "--gradient-rate is for the agent 'gradient', which --agents leaves out, got 0.3. Name 'gradient' in "
            "--agents, or leave --gradient-rate out.",
        ),
        (
            ["--rounds", "7", "--agents", "none"],
            "--rounds is for the agents random, sac-latent, sac-refine, gradient, which --agents leaves out, got 7.",
        ),
        (["--delta-scale", "nan"], "--delta-scale must be a finite number above 0, got nan."),
        (["--device", "cuda:99"], "device 'cuda:99' is not on this machine"),
        (["--data", "absent"], "'absent'"),
        (["--parser", "absent"], "'absent' is missing"),
    ],
)
def test_a_wrong_setting_is_one_sentence(capsys, runs, photographs, words, said):
    assert said in fails(capsys, runs[0], "--data", photographs, "--device", "cpu", *words)


def test_photographs_must_be_given_and_enough(capsys, runs, tmp_path, judges):
    assert "--data must name the folder of the photographs" in fails(capsys, runs[0])
    for number in range(12):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
    few = fails(capsys, runs[0], "--data", tmp_path, *judges, "--device", "cpu")
    assert "--data must leave at least 20 photographs of test people, got 1 of 12" in few


def test_a_folder_around_the_download_is_refused_since_people_would_be_mixed(capsys, runs, tmp_path):
    (tmp_path / "11k-hands").mkdir()
    (tmp_path / "11k-hands" / "HandInfo.csv").write_text("")
    words = fails(capsys, runs[0], "--data", tmp_path)
    assert f"'{tmp_path}' must be the download of 11k Hands itself, but is the folder around it" in words


def test_what_is_no_run_or_named_twice_is_one_sentence(capsys, runs, photographs, tmp_path):
    assert "is not a run: it has no config.json" in fails(capsys, tmp_path, "--data", photographs)
    assert "RUNS must differ, got" in fails(capsys, runs[0], runs[0], "--data", photographs)


def test_a_missing_extra_is_said_before_anything_is_read(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert 'in the checkout with: pip install -e ".[compare]"' in fails(capsys, tmp_path / "no run", "--data", tmp_path)


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path):
    assert run_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert run_names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x-run", "y-run"]
    assert run_names([tmp_path / "a-b" / "c", tmp_path / "a" / "b-c", tmp_path / "d" / "c"]) == [
        *("a-b-c", "a-b-c-2", "d-c"),
    ]
    assert run_names([tmp_path / "x", tmp_path / "x" / "x"]) == ["x", "x-2"]


def test_rejection_is_compared_only_where_it_is_asked_for():
    assert CompareArgs([]).samplers == ["normal", "mixture", "prior"]  # most runs have no classifier


def test_a_run_s_pieces_are_found_by_name(runs):
    loaded = load_compared_run(Path(runs[0]))
    assert {"normal", "mixture"} <= set(loaded.samplers)
    assert loaded.samplers["mixture"].sample(3, 0).shape == (3, 5)
    assert loaded.agents == {}
    assert not any(weight.requires_grad for weight in loaded.vae.parameters())


def test_the_same_latents_are_drawn_once():
    class Counting(StandardNormal):
        calls = 0

        def sample(self, n, seed):
            self.calls += 1
            return super().sample(n, seed)

    counting = Counting(5)
    remembered = Remembered(counting)
    remembered.sample(3, 0).zero_()  # what one agent does to its latents is not the next one's affair
    asked = [(3, 0), (4, 0), (3, 1), (4, 0)]
    for n, seed in asked:
        assert torch.equal(remembered.sample(n, seed), StandardNormal(5).sample(n, seed))
    assert counting.calls == 3


def test_an_agent_of_batches_is_shown_any_number_of_latents(runs):
    class Twice:
        def predict(self, observation, deterministic):
            assert observation.shape[1:] == (4, 5)  # whole batches alone
            return 2 * observation, None

    run = replace(load_run(Path(runs[0])), agent=Twice())
    latents = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    actions, _ = BatchAgent(run).predict(latents, deterministic=True)
    assert np.array_equal(actions, 2 * latents)
