import json
import multiprocessing
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from stable_baselines3 import TD3

from agents import GymnasiumVecEnv

ALGORITHMS = ["sac", "td3", "ppo", "tqc", "crossq"]
ENVIRONMENTS = ["HandRefine-v0", "HandSchedule-v0"]


@pytest.fixture
def script(benchmark):
    return benchmark("algorithms")


@pytest.fixture
def fake(make_refine_rows, make_schedule_rows):
    """Problems that take milliseconds; they remember what they made, and measure how often they were asked."""

    def make(environment):
        form = {"HandRefine-v0": make_refine_rows, "HandSchedule-v0": make_schedule_rows}[environment]
        problem = SimpleNamespace(every=8, agent_device="cpu", made=[], asked=0)

        def make_rows(rows, seed):
            problem.made.append(form(rows, autoreset_mode="SameStep"))
            return problem.made[-1]

        def measure(agent):
            problem.asked += 1
            return {"correct": problem.asked}

        problem.make, problem.measure = make_rows, measure
        return problem

    return make


def job(script, environment, algorithm, seed=0, folder=None):
    return script.Job(environment, algorithm, seed, True, folder, "cpu")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_settings_give_all_algorithms_the_same_samples_and_measure_them_at_the_same(script, environment):
    assert list(script.ALGORITHMS) == ALGORITHMS
    every = {"HandRefine-v0": script.Scale().refine_every, "HandSchedule-v0": script.Scale().schedule_every}
    found = [script.read_settings(name, environment) for name in ALGORITHMS]
    assert len({(own["n_envs"], own["n_timesteps"], own["gamma"]) for own in found}) == 1
    for own in found:
        assert own["n_timesteps"] % every[environment] == 0
        assert every[environment] % (own["n_envs"] * own.get("n_steps", 1)) == 0


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_is_measured_before_it_learns_at_each_interval_and_at_the_end(
    script, fake, algorithm, environment
):
    problem = fake(environment)
    curve = script._learn(job(script, environment, algorithm, seed=2), problem)
    assert curve == [{"samples": samples, "correct": place + 1} for place, samples in enumerate((0, 8, 16))]


def test_the_rows_of_two_runs_share_no_seed(script, fake):
    seeds = []
    for seed in (0, 1):
        problem = fake("HandRefine-v0")
        script._learn(job(script, "HandRefine-v0", "ppo", seed), problem)
        seeds += problem.made[0].np_random_seed
    assert len(set(seeds)) == 4


def test_the_settings_of_the_zoo_reach_the_algorithm(script, fake):
    env = GymnasiumVecEnv(fake("HandSchedule-v0").make(2, 0))
    model = script.build("td3", script.read_settings("td3", "HandSchedule-v0"), env, 0, "cpu")
    assert isinstance(model, TD3)
    assert model.action_noise._sigma.tolist() == [0.3] * 3
    assert (model.gamma, model.gradient_steps, model.learning_starts) == (1.0, 40, 64)
    assert not model.replay_buffer.handle_timeout_termination


@pytest.mark.parametrize(("value", "dimensions"), [(0.0, 6), (-1.0, 3)])
def test_no_agent_changes_nothing(script, value, dimensions):
    actions, _ = script.Still(value, dimensions).predict(np.zeros((4, 14), np.float32), deterministic=True)
    assert actions.shape == (4, dimensions)
    assert (actions == value).all()


def test_the_store_keeps_runs_for_the_next_call_and_refuses_other_settings(script, tmp_path):
    store = script.RunStore(tmp_path, {"scale": 1})
    done = job(script, "HandRefine-v0", "sac")
    assert store.lacks(done)
    store.add({"environment": "HandRefine-v0", "algorithm": "sac", "seed": 0, "seconds": 1.0, "points": []})
    again = script.RunStore(tmp_path, {"scale": 1})
    assert again.records == store.records
    assert not again.lacks(done)
    assert again.lacks(job(script, "HandSchedule-v0", "sac"))
    with pytest.raises(ValueError, match=r"holds figures with scale 1, not 2\. Choose another --out"):
        script.RunStore(tmp_path, {"scale": 2})


def test_runs_go_seed_by_seed_so_that_a_stopped_call_leaves_as_many_of_each_algorithm(script, tmp_path):
    args = SimpleNamespace(
        environments=ENVIRONMENTS, algorithms=["sac", "ppo"], seeds=[0, 1], quick=True, out=tmp_path, device="cpu"
    )
    keys = [own.key for own in script.make_jobs(args)]
    assert keys[:2] == [(environment, "none", 0) for environment in ENVIRONMENTS]
    assert [key[1:] for key in keys[2:6]] == [("sac", 0), ("ppo", 0), ("sac", 1), ("ppo", 1)]
    assert len(set(keys)) == len(keys) == 10


def test_jobs_below_one_are_refused(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["algorithms.py", "--out", "unused", "--jobs", "0"])
    with pytest.raises(SystemExit):
        script.main()
    assert "--jobs must be at least 1 and --seeds at least 0, got 0 and [0, 1, 2, 3, 4]." in capsys.readouterr().err


def test_unfinished_runs_are_given_up_when_the_time_is_over(script, tmp_path, capsys):
    store = script.RunStore(tmp_path, {})
    script.do_all([job(script, "HandRefine-v0", "sac", folder=tmp_path)], store, workers=1, seconds=0.01)
    assert store.records == []
    assert capsys.readouterr().err == "Stopped after 0 s; repeat the command for the rest.\n"


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_agents_are_measured_on_the_same_each_time(script, benchmark, environment, tmp_path, monkeypatch):
    problems = benchmark("algorithms_problems")
    monkeypatch.setattr(problems, "judged", lambda hands: {"score": float(hands.mean())})  # by a judge, all score 0
    problem = script.problem_of(environment, True, tmp_path, "cpu")
    dimensions = {"HandRefine-v0": 8, "HandSchedule-v0": 3}[environment]
    first, again, other = (problem.measure(script.Still(value, dimensions)) for value in (-1.0, -1.0, 1.0))
    assert first == again
    assert first["score"] != other["score"]


@pytest.mark.slow
def test_the_quick_command_measures_every_run_once_and_keeps_what_is_done(script, monkeypatch, capsys, tmp_path):
    forked = multiprocessing.get_context("fork")  # with the narrow VAEs of this process
    monkeypatch.setattr(script.multiprocessing, "get_context", lambda _: forked)
    out = tmp_path / "algorithms"
    (tmp_path / "mine.txt").touch()  # beside the folder, where it is in nobody's way
    words = ["--out", str(out), "--quick", "--algorithms", "ppo", "--seeds", "0", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["algorithms.py", *words])
    script.main()
    first = (out / script.FILE).read_text()
    runs = {(run["environment"], run["algorithm"]): run["points"] for run in json.loads(first)["runs"]}
    assert set(runs) == {(environment, name) for environment in ENVIRONMENTS for name in ("none", "ppo")}
    for (_, name), curve in runs.items():
        assert [point["samples"] for point in curve] == ([0] if name == "none" else [0, 8, 16])
        assert all(0 <= point[figure] <= 1 for point in curve for figure in ("correct", "score", "score_by_parser"))
    assert capsys.readouterr().out.count("| PPO ") == 2
    script.main()  # nothing is left to do
    assert (out / script.FILE).read_text() == first
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.usefixtures("real_channels")
def test_a_run_that_fails_is_named_after_the_others_are_kept(script, tmp_path):
    script.read_material(tmp_path / script.MATERIAL, script.QUICK, "cpu")
    store = script.RunStore(tmp_path, {})
    jobs = [job(script, "HandRefine-v0", name, folder=tmp_path) for name in ("unknown", "none")]
    with pytest.raises(ExceptionGroup, match="1 of 2 runs failed") as failed:
        script.do_all(jobs, store, workers=1, seconds=0)
    assert "rl_zoo3_unknown.yml" in str(failed.value.exceptions[0])
    assert [run["algorithm"] for run in store.records] == ["none"]
