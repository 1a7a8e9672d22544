"""The scripts of benchmarks/ explain themselves, and say in one sentence what they lack."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_printed_and_nothing_runs(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if neither were installed
    monkeypatch.setitem(sys.modules, "playwright", None)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {name}.py [-h]")


@pytest.mark.parametrize("name", ["flow", "recipe"])
def test_without_a_gpu_one_sentence_says_so(name, benchmark, monkeypatch):
    script = benchmark(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=rf"benchmarks/{name}\.py needs a GPU, and torch finds none\. Run it on a"):
        script.main()


@pytest.mark.parametrize("words", [[], ["no-such.json"]])
def test_learning_tables_ask_for_a_file_of_records(words, benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["learning_tables.py", *words])
    with pytest.raises(SystemExit):
        benchmark("learning_tables").main()
    assert "RECORDS" in capsys.readouterr().err.splitlines()[-1]
