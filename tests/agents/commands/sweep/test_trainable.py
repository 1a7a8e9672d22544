import os
import signal
import sys
import time
from dataclasses import replace

import pytest

from agents.cli import main
from agents.commands.sweep.args import SweepArgs
from agents.commands.sweep.command import PROGRAM, _scheduler
from agents.commands.sweep.trainable import CommandTrial, TrialProcess
from agents.commands.sweep.trials import make_trials

HEARS = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # whoever runs the tests in the background does not
WAIT = ("-c", f"import signal, time; {HEARS}; print('begun', flush=True); time.sleep(60)")


@pytest.fixture
def job(tmp_path):
    run = tmp_path / "out" / "seed-0"
    files = {"begun": run / "config.json", "finished": run / "report.json", "metrics": run / "metrics.csv"}
    return TrialProcess(
        PROGRAM, ("synth",), ("again",), **files, log=tmp_path / "log", epochs=3, folder=tmp_path, home=None
    )


def started(job):
    trial = CommandTrial.__new__(CommandTrial)  # as in a worker, without one
    trial.setup({"trial": "it"}, {"it": job})
    return trial


def wait_for_begun(job):
    while "begun" not in job.log.read_text():
        time.sleep(0.01)


def test_a_trial_runs_the_command_line_and_an_error_tells_what_it_said(job, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    trial = started(replace(job, words=("synth", "--sise", "32")))
    said = "The command ended with status 2. It said: handlatent: unrecognized arguments: --sise 32"
    trial.process.wait()  # a busy machine takes longer than a heartbeat to import torch
    with pytest.raises(RuntimeError, match=said):
        trial.step()
    assert job.log.read_text().startswith("$ handlatent synth --sise 32\n")


def test_a_run_that_has_begun_is_resumed_and_a_finished_one_is_left_alone(job):
    job.begun.parent.mkdir(parents=True)
    job.begun.touch()
    trial = started(replace(job, program=("-c", "import sys; print(sys.argv[1:])")))
    assert trial.step() == {"done": True, "finished": True}
    assert job.log.read_text() == "$ handlatent again\n['again']\n"
    job.finished.touch()
    assert started(job).step() == {"done": True, "finished": True}
    assert job.log.read_text().count("$") == 1


def test_rows_are_reported_as_they_come_and_the_last_one_with_the_end(job, monkeypatch):
    trial = started(replace(job, program=WAIT))
    job.metrics.parent.mkdir(parents=True)
    job.metrics.write_text("epoch,loss_nats,reward\n1,5.0,\n2,4.5,\n")
    assert trial.step() == {"epoch": 2.0, "loss_nats": 4.5}
    job.metrics.write_text("epoch,loss_nats,reward\n3,4.0,\n")
    assert trial._last_row() == {}
    wait_for_begun(job)
    trial.cleanup()
    assert trial.process.returncode == -signal.SIGINT


def test_a_command_that_does_not_end_on_ctrl_c_is_killed(job, monkeypatch):
    monkeypatch.setitem(CommandTrial.cleanup.__globals__, "GRACE", 0.1)
    deaf = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('begun', flush=True); time.sleep(60)"
    )
    trial = started(replace(job, program=("-c", deaf)))
    wait_for_begun(job)
    trial.cleanup()
    assert trial.process.returncode == -signal.SIGKILL


def test_the_user_s_home_is_given_back_to_the_command(job):
    started(replace(job, program=("-c", "import os; print(os.environ['HOME'])"), home="/somewhere")).step()
    assert job.log.read_text().endswith("/somewhere\n")


def test_asha_ranks_runs_by_the_metric_before_their_last_epoch():
    args = SweepArgs(["train", "--epochs", "80"], scheduler="asha", metric="reward")
    scheduler = _scheduler(args, make_trials(args))
    assert (scheduler._time_attr, scheduler._metric, scheduler._metric_op) == ("epoch", "reward", 1)
    (bracket,) = scheduler._brackets
    assert [milestone for milestone, _ in bracket._rungs] == [40, 10]


def test_without_the_extra_one_sentence_says_how_to_install_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", "train", "--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == (
        "handlatent sweep: A sweep needs the extra 'ray', and 'ray' is not installed. Install it in the checkout "
        'with: pip install -e ".[ray]"\n'
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:99999999", "auto"])
def test_an_address_without_a_cluster_is_one_sentence(capsys, tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where "auto" looks for one, and then among the processes
    monkeypatch.setattr("ray._private.services._find_address_from_flag", lambda flag: set())  # not that of another test
    assert main(["sweep", "train", "--address", address, "--out", str(tmp_path / "new")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"--address '{address}' leads to no Ray cluster (" in said
    assert said.endswith("Start one with: ray start --head")


def test_ray_that_does_not_start_is_one_sentence(capsys, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise Exception("The node\ntimed out.")  # as Ray raises it

    monkeypatch.setattr("ray.init", fails)
    assert main(["sweep", "train", "--out", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("handlatent sweep: Ray does not start on this machine (The node timed out.). Make room in ")
    assert said.endswith("or name a running cluster with --address.")
