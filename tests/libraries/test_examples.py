"""The examples of libraries: what CI can run of them, and the record of the rest. run.py runs them all."""

import importlib.util
import json
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "libraries.md").read_text(encoding="utf-8")


@pytest.fixture
def run(load):
    return load(HERE / "run.py")


@pytest.mark.slow(seconds=5)
@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="`make test` installs it with the extra zoo")
def test_optuna_searches_and_prunes(monkeypatch, capsys):
    monkeypatch.syspath_prepend(HERE)
    runpy.run_path(str(HERE / "with_optuna.py"), run_name="__main__")
    assert "ran: a search" in capsys.readouterr().out


def test_the_table_of_the_libraries_is_that_of_their_record(run):
    record = json.loads(run.RECORD.read_text(encoding="utf-8"))
    assert set(record) == set(run.LIBRARIES)
    assert run.table(record) in PAGE, "Put what run.table gives into docs/libraries.md"
    assert {path.stem for path in HERE.glob("with_*.py")} == {Path(each.script).stem for each in run.LIBRARIES.values()}


def test_ci_runs_each_library_s_example(run):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["libraries"]
    assert job["strategy"]["matrix"]["library"] == list(run.LIBRARIES)
    assert {"run": "python tests/libraries/run.py ${{ matrix.library }}"} in job["steps"]
    assert {"run": "make lowest"} in workflow["jobs"]["lowest"]["steps"]


def test_the_page_names_the_versions_that_ci_installs(run):
    rows = re.findall(r"\| (\w+ [\d.]+) \| [^|]*\| `tests/", PAGE)
    pins = {line.strip().lower() for line in run.CONSTRAINTS.read_text(encoding="utf-8").splitlines()}
    assert len(rows) == 4
    assert [row for row in rows if row.replace(" ", "==") not in pins] == []


def test_an_example_s_lines_and_versions_are_recorded(run, tmp_path):
    script = tmp_path / "with_numpy.py"
    script.write_text("print('noise')\nprint('ran: addition: single')\n")
    found = run.attempt(replace(run.LIBRARIES["skrl"], package="numpy", script=str(script)), Path(sys.executable))
    assert found["ran"] == ["addition: single"]
    assert set(found["versions"]) == {"python", "numpy", "gymnasium", "torch"}
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match=r"skrl: .*with_numpy\.py ended with 3"):
        run.attempt(replace(run.LIBRARIES["skrl"], script=str(script)), Path(sys.executable))


def test_an_unknown_library_is_refused_by_name(run):
    with pytest.raises(SystemExit, match="'keras' is none of sbx, skrl, "):
        run.main(["keras"])
