"""The learning curves of `benchmarks/fast_sac.py --learn`, on tiny problems."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents import RefineArgs, Run
from agents.commands.refine.training import RefinerTraining
from vae import StandardNormal, VAEConfig, build_vae

ROOT = Path(__file__).parents[2]
ALGORITHMS = {
    "pendulum": ("SAC", "FastSAC"),
    "latents": ("SAC", "FastSAC"),
    "pictures": ("SAC", "FastSAC", "FastSAC, compiled"),
}


class Brightness:
    """Stands in for the rewarding judge, which takes half a second a picture."""

    def __init__(self, architecture="parser", device="cpu"):
        pass

    def score(self, pictures):
        return 0.5 * pictures.mean((1, 2, 3))


@pytest.fixture
def script(benchmark):
    return benchmark("fast_sac_learning")


@pytest.fixture
def small_run(script, monkeypatch):
    """What all problems read in place of the packaged set."""
    run = Run({}, build_vae(VAEConfig(32, 6), seed=1).eval(), {"prior": StandardNormal(6)}, None, None, None)
    monkeypatch.setattr(script, "read", lambda job: run)
    monkeypatch.setattr("hand_env.refinement.default_judge", Brightness)
    return run


@pytest.fixture
def job(script):
    return script.Job("pictures", "FastSAC", 3, 112, 16, "synthetic", "cpu", 1, 1)


def record(problem, algorithm, seed, points, weights="a"):
    return {
        "problem": problem,
        "algorithm": algorithm,
        "seed": seed,
        "samples": [2_000, 4_000, 6_000, 8_000, 10_000],
        "device": "cpu",
        "side_by_side": 2,
        "seconds": 3.0,
        "points": points,
        "weights_sha256": weights,
    }


@pytest.mark.usefixtures("small_run")
@pytest.mark.parametrize("problem", ALGORITHMS)
def test_all_algorithms_have_the_same_points_and_end_with_the_same_weights_on_a_cpu(script, job, problem):
    assert script.PROBLEMS[problem].algorithms == ALGORITHMS[problem]
    jobs = [replace(job, problem=problem, algorithm=name) for name in ALGORITHMS[problem]]
    records = [script.carry_out(each) for each in jobs]
    for each, found in zip(jobs, records, strict=True):
        assert each.key.items() <= found.items()
        assert (found["samples"][-1], found["device"], len(found["points"])) == (112, "cpu", script.POINTS)
        assert found["updates"] > 0
    assert len({found["weights_sha256"] for found in records}) == 1
    assert len({tuple(found["points"]) for found in records}) == 1
    steps = {"pendulum": [23, 46, 68, 90, 112], "latents": [32, 64, 80, 96, 112], "pictures": [32, 64, 80, 96, 112]}
    assert records[0]["samples"] == steps[problem]
    other = script.carry_out(replace(jobs[0], seed=4))
    assert other["weights_sha256"] != records[0]["weights_sha256"]
    assert other["points"] != records[0]["points"]


def test_pictures_are_learned_as_the_command_refine_learns_them(script, job, small_run, tmp_path):
    args = RefineArgs(
        Path("unread"), samples=112, rows=16, sampler="prior", delta_scale=0.5, width=512, seed=3, device="cpu"
    )
    training = RefinerTraining(small_run, args, tmp_path / "checkpoints")
    training.train()
    learned = script.pictures(job)
    assert learned.rewards == [point["reward"] for point in training.log]
    theirs, ours = (model.policy.state_dict() for model in (training.model, learned.model))
    assert all((theirs[name] == ours[name]).all() for name in theirs)


def test_only_one_way_is_compiled_and_only_one_is_stock(script, job, small_run):
    found = {}
    for name in ALGORITHMS["pictures"]:
        model = script.pictures(replace(job, algorithm=name)).model
        found[name] = type(model).__name__, model.policy.sight.fused
    assert found == {"SAC": ("SAC", False), "FastSAC": ("FastSAC", False), "FastSAC, compiled": ("FastSAC", True)}


def test_the_tables_say_whether_the_intervals_overlap(script):
    records = [
        *(record("pictures", "SAC", seed, [seed, 0, 0, 0, 0]) for seed in range(3)),
        *(record("pictures", "FastSAC", seed, [seed + 0.5, 0, 0, 0, 0], "ab"[seed]) for seed in range(2)),
        *(record("pictures", "FastSAC, compiled", seed, [seed + 9, 0, 0, 0, 0]) for seed in range(3)),
        record("pendulum", "FastSAC", 0, [1, 2, 3, 4, 5]),
    ]
    pendulum, pictures = script.tables(records).split("\n\nHandRefine-v0 on pictures")
    assert "| 10,000  | 5.000   |" in pendulum
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in pictures.splitlines() if line[:1] == "|"]
    assert rows[0][4:] == ["FastSAC - SAC", "FastSAC, compiled - SAC"]
    assert rows[2][0] == "2,000"
    assert rows[2][1] == "1.000 (-1.484 to 3.484)"
    assert rows[2][4] == "0.500 (0.500 to 0.500); intervals overlap"
    assert rows[2][5] == "9.000 (9.000 to 9.000); intervals do not overlap"
    assert "Seeds: SAC 3, FastSAC 2, FastSAC, compiled 3." in pictures
    assert "FastSAC ends with SAC's weights with 1 of 2 seeds." in pictures
    assert "too few seeds" in script.tables([record("pendulum", name, 0, [1] * 5) for name in ("SAC", "FastSAC")])


def test_a_file_of_other_settings_is_refused(script, tmp_path):
    path = tmp_path / "it.json"
    script.Store(path, {"device": "cpu"}).add(record("pendulum", "SAC", 0, [1] * 5))
    with pytest.raises(ValueError, match="holds figures with device 'cpu', not 'cuda'"):
        script.Store(path, {"device": "cuda"})


def test_a_training_that_fails_is_named_after_the_others_are_kept(script, job, tmp_path):
    store = script.Store(tmp_path / "it.json", {})
    jobs = [replace(job, problem="pendulum", run=""), replace(job, problem="latents", run="no run")]
    with pytest.raises(ExceptionGroup, match="1 of 2 trainings failed") as failed:
        script.do_all(jobs, store, 1)
    assert failed.value.exceptions[0].__notes__ == ["latents, FastSAC, seed 3"]
    assert [each["problem"] for each in store.records] == ["pendulum"]


@pytest.mark.slow(seconds=30)
def test_a_killed_command_leaves_no_process_and_repeats_no_finished_training(tmp_path):
    out = tmp_path / "new" / "it.json"
    words = ["--learn", "--problems", "pendulum", "--steps", "200", "--seeds", "3", "--jobs", "1", "--out", out]
    command = [sys.executable, ROOT / "benchmarks" / "fast_sac.py", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        while not out.is_file():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()  # ends when no process of its own can write there any more
    kept = json.loads(out.read_text(encoding="utf-8"))["trainings"]
    assert 1 <= len(kept) < 6
    again = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert again.stderr.count(" s: pendulum, ") == 6 - len(kept)
    found = json.loads(out.read_text(encoding="utf-8"))["trainings"]
    assert found[: len(kept)] == kept
    assert sorted((each["seed"], each["algorithm"]) for each in found) == [
        (seed, name) for seed in range(3) for name in ("FastSAC", "SAC")
    ]
    assert "FastSAC ends with SAC's weights with 3 of 3 seeds." in again.stdout
    table = subprocess.run([*command[:2], "--table", out], capture_output=True, text=True, env=env, check=True)
    assert table.stdout == again.stdout


def test_trainings_are_spread_over_the_gpus_that_are_visible(script, monkeypatch):
    monkeypatch.setattr(script.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert script.gpus("cuda") == ["0", "1"]
    assert script.gpus("cuda:1") == script.gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert script.gpus("cuda") == ["3", "5"]
