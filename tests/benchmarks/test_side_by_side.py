import re
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = ["--batch", "2", "--vaes", "2", "--steps", "4", "--blocks", "1"]


@pytest.fixture
def run(monkeypatch):
    def script(*words):
        monkeypatch.syspath_prepend(str(BENCHMARKS))  # it imports its neighbour
        monkeypatch.setattr(sys, "argv", ["side_by_side.py", *words])
        runpy.run_path(str(BENCHMARKS / "side_by_side.py"), run_name="__main__")

    return script


@pytest.mark.slow
def test_every_way_gets_its_time_and_its_ratio_to_the_eager_one(run, capsys):
    run(*TINY)
    head, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ threads: 32 pixels, \d\.\d\d M parameters, batch 2", head)
    pattern = r" *(.+): +([\d.]+) ms a step, +([\d.]+) ms a VAE, .* ratio +([\d.]+) "
    found = [re.findall(pattern, line)[0] for line in lines]
    assert [way[0] for way in found] == [
        "VAE, eager",
        "2 VAEs side by side",
        "HandLatent-v0, eager",
        "HandSchedule-v0, eager",
        "HandSchedule-v0, 2 rows",
    ]
    assert [way[3] for way in found if "eager" in way[0]] == ["1.00"] * 3
    assert float(found[1][2]) == pytest.approx(float(found[1][1]) / 2, rel=0.01)


@pytest.mark.parametrize("steps", ["2", "5"])
def test_a_block_is_whole_epochs_and_longer_than_the_eager_steps(run, capsys, steps):
    with pytest.raises(SystemExit):
        run("--steps", steps)
    assert f"--steps must be an even number above 3, got {steps}." in capsys.readouterr().err
