"""One sweep of two tiny runs, with Ray started once: a run is killed, the sweep stopped with Ctrl-C, and resumed."""

import csv
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fork_client import forking

from agents import cli
from agents.cli import main
from agents.commands.compare import load_compared_run
from agents.commands.compare.loaded_run import runs_in
from agents.commands.sweep import command
from agents.commands.sweep.cluster import gpus_for_each, running_ray
from agents.runs.lock import LOCK
from vae.progress import show_progress

TINY = ["--images", "24", "--size", "32", "--epochs", "4", "--batch-size", "4", "--latent-dim", "5", "--device", "cpu"]
WORDS = ["sweep", "train", *TINY, "--agent", "none", "--checkpoint-seconds", "0"]
GRID = ["--grid", "reward-scale=0.01,0.02", "--max-concurrent", "1"]
FIRST, SECOND = "reward-scale-0.01/seed-0", "reward-scale-0.02/seed-0"


def statuses(out):
    with suppress(OSError, ValueError):
        return {trial["run"]: trial["status"] for trial in json.loads((out / "sweep.json").read_text())["trials"]}
    return {}


def wait(condition, story):
    while not condition():
        assert "status" not in story, "the sweep has ended"
        time.sleep(0.05)


def interfere(out, story):
    """Kill the first run's command once it has a checkpoint, and press Ctrl-C once that run is finished after all."""
    wait(lambda: list((out / FIRST / "checkpoints").glob("step-*")), story)
    os.kill(int((out / FIRST / LOCK).read_text().split()[1]), signal.SIGKILL)
    wait(lambda: statuses(out).get(FIRST) == "finished", story)
    story["listening"] = addresses_of_ray()
    story["report"] = (out / FIRST / "report.json").stat().st_mtime_ns
    os.kill(os.getpid(), signal.SIGINT)


def addresses_of_ray():
    """The addresses, in hexadecimal digits, at which processes of Ray's listen."""
    sockets = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if b"handlatent-ray-" in words or b"ray::" in words:
                sockets |= {os.readlink(link) for link in (process / "fd").iterdir()}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


def run_the_story(tmp_path):
    """What happened, by name; requests to other machines would go to a proxy that notes them."""
    out, output = tmp_path / "out", tmp_path / "said"
    output.mkdir()
    story: dict[str, Any] = {}
    proxy = socket.create_server(("127.0.0.1", 0))
    proxy.setblocking(False)
    with pytest.MonkeyPatch.context() as patch, proxy:
        patch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        with running_ray(None), forking(output) as program:
            import ray

            patch.setattr(command, "PROGRAM", program)
            patch.setattr(cli, "show_progress", partial(show_progress, between_lines=0.0))
            assert gpus_for_each(ray, None, 1) == min(1, ray.cluster_resources().get("GPU", 0))
            with pytest.raises(ValueError, match=r"--gpus-per-trial must be at most \d+, what Ray has, got 1000.0"):
                gpus_for_each(ray, 1000.0, 1)
            story["home"] = os.environ["HOME"]
            thread = threading.Thread(target=interfere, args=(out, story))
            thread.start()
            with (output / "stopped").open("w") as patch_err:
                patch.setattr(sys, "stderr", patch_err)
                story["status"] = main([*WORDS, *GRID, "--out", str(out)])
            thread.join()
            story["stopped"] = statuses(out)
            with (output / "table").open("w") as patch_out, (output / "resumed").open("w") as patch_err:
                patch.setattr(sys, "stdout", patch_out)
                patch.setattr(sys, "stderr", patch_err)
                story["resumed"] = main(["sweep", "--resume", str(out)])
        with suppress(BlockingIOError):
            story["asked"] = proxy.accept()[1]
    said = {path.name: path.read_text() for path in output.iterdir() if path.is_file()}
    return {"out": out, "said": said, **story}


def check_a_run_that_is_killed_is_tried_again_from_its_checkpoint(story):
    out = story["out"]
    log = (out / f"{FIRST}.log").read_text()
    assert log.count("$ handlatent train") == 2
    assert f"$ handlatent train --resume {out / FIRST}\n" in log
    assert "1 of 2: The command ended with status -9." in story["said"]["stopped"]
    with (out / "sweep.csv").open() as file:
        assert [row["failures"] for row in csv.DictReader(file)] == ["1", "0"]
    first, second = ((out / run / "vae.safetensors").read_bytes() for run in (FIRST, SECOND))
    assert first == second  # what differs between them is only how the reward is counted


def check_ctrl_c_ends_the_sweep_and_resume_runs_only_what_is_left(story):
    out = story["out"]
    assert story["status"] == 130
    assert f"Stopped and saved. Continue with: handlatent sweep --resume {out}" in story["said"]["stopped"]
    assert story["stopped"] == {FIRST: "finished", SECOND: "waiting"}
    assert story["resumed"] == 0
    assert (out / FIRST / "report.json").stat().st_mtime_ns == story["report"]
    assert statuses(out) == {FIRST: "finished", SECOND: "finished"}


def check_the_table_has_what_the_runs_report(story, capsys):
    losses = [json.loads((story["out"] / run / "report.json").read_text())["test_loss_nats"] for run in (FIRST, SECOND)]
    with (story["out"] / "sweep.csv").open() as file:
        assert [float(row["test_loss_nats"]) for row in csv.DictReader(file)] == losses
    assert f"| reward-scale 0.01 | 1 of 1 | {losses[0]:.5g} " in story["said"]["table"]
    assert main(["sweep", "--resume", str(story["out"])]) == 0  # nothing is left: Ray is not started
    assert capsys.readouterr().out == story["said"]["table"] == (story["out"] / "sweep.md").read_text()


def check_ray_is_quiet_listens_on_this_computer_alone_and_asks_no_other(story):
    assert story["listening"]
    assert {address[-8:] for address in story["listening"]} == {"0100007F"}
    assert "asked" not in story
    assert os.environ["HOME"] == story["home"]
    lines = story["said"]["resumed"].splitlines()
    assert lines
    assert [line for line in lines if not re.match(r"\d of 2 runs ended; |Sweep: ", line)] == []


def check_the_time_left_is_said(story):
    assert re.search(r"(?m)^Sweep: 50 %, 4 of 8 epochs, .* so far, [\d:]+ left, running ", story["said"]["stopped"])
    assert re.search(
        r"(?m)^Sweep: 100 %, 8 of 8 epochs, .* so far, 00:00 left, running none$", story["said"]["resumed"]
    )


def check_a_comparison_reads_the_seeds_of_a_setting(story):
    (run,) = runs_in(story["out"] / "reward-scale-0.01")
    assert run == story["out"] / FIRST
    assert "mixture" in load_compared_run(run).samplers
    with pytest.raises(ValueError, match=r"holds runs of 2 settings. Name the folders of those to compare: .*0\.02'"):
        runs_in(story["out"])


@pytest.mark.slow(50)
def test_a_sweep_survives_a_kill_and_ctrl_c_and_ends_in_a_table(tmp_path, capsys):
    story = run_the_story(tmp_path)  # once: Ray takes 15 s to start
    check_a_run_that_is_killed_is_tried_again_from_its_checkpoint(story)
    check_ctrl_c_ends_the_sweep_and_resume_runs_only_what_is_left(story)
    check_the_table_has_what_the_runs_report(story, capsys)
    check_ray_is_quiet_listens_on_this_computer_alone_and_asks_no_other(story)
    check_a_comparison_reads_the_seeds_of_a_setting(story)
