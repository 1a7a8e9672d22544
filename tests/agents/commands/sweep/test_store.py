import json
import shutil
from pathlib import Path

import pytest

from agents.commands.sweep import SweepArgs
from agents.commands.sweep.command import finish_late_runs
from agents.commands.sweep.results import SWEPT
from agents.commands.sweep.store import FILE, TrialStore, read_settings
from agents.commands.sweep.trials import make_trials
from agents.figures.intervals import student
from vae.files import load_hashed_json, save_hashed_json, save_json


@pytest.fixture
def make_store(tmp_path):
    def make(**settings):
        args = SweepArgs(["train"], **{"grid": ["kl-weight=1,2"], "seeds": [0, 1], **settings}, out=tmp_path / "sweep")
        return TrialStore(args, make_trials(args), Path("here"))

    return make


def test_a_table_has_the_mean_over_the_seeds_of_finished_runs_with_its_interval(make_store):
    store = make_store()
    for seed, loss in enumerate([10.0, 14.0]):
        store.change(f"kl-weight-1/seed-{seed}", status="finished", figures={"loss": loss, "kl": 1.0})
    store.change("kl-weight-2/seed-0", status="finished", figures={"loss": 3.5}, failures=1)
    assert "flatter" not in store.table()
    store.change("kl-weight-2/seed-1", status="stopped")
    assert "Runs that the scheduler stopped are left out, so the means flatter their settings." in store.table()
    first, second = json.loads((store.out / FILE).read_text())["table"]
    found = student([10.0, 14.0])
    assert first["figures"]["loss"] == {"value": 12.0, "low": found.low, "high": found.high}
    assert (second["seeds"], second["finished"], list(second["figures"])) == (2, 1, ["loss"])
    text = (store.out / "sweep.md").read_text()
    assert "| kl-weight 1 | 2 of 2 | 12 (-13.412 to 37.412) |" in text
    assert "| kl-weight 2 | 1 of 2 | 3.5 " in text
    rows = (store.out / "sweep.csv").read_text().splitlines()
    assert rows[0] == "run,kl-weight,seed,status,failures,loss,kl"
    assert rows[3:] == ["kl-weight-2/seed-0,2,0,finished,1,3.5,", "kl-weight-2/seed-1,2,1,stopped,0,,"]


def test_a_sweep_is_read_again_and_another_one_refused(make_store):
    make_store().change("kl-weight-2/seed-1", status="failed", error="no.")
    again = make_store()
    assert [record.run for record in again.runs("failed")] == ["kl-weight-2/seed-1"]
    with pytest.raises(ValueError, match=r"holds figures with seeds \[0, 1\], not \[0\]. Choose another --out"):
        make_store(seeds=[0])


def test_a_run_that_ends_while_it_is_stopped_is_finished(make_store, narrow_run):
    store = make_store()
    for run in ("kl-weight-1/seed-0", "kl-weight-1/seed-1"):
        store.change(run, status="stopped")
    shutil.copytree(narrow_run, store.out / "kl-weight-1" / "seed-1")
    finish_late_runs(store)
    assert [record.run for record in store.runs("stopped")] == ["kl-weight-1/seed-0"]
    (late,) = store.runs("finished")
    assert late.figures == SWEPT["train"].figures(narrow_run)


def test_only_a_sweep_can_be_resumed(tmp_path, make_store):
    with pytest.raises(ValueError, match=r"is not a sweep: it has no sweep.json. Name the folder given to --out"):
        read_settings(tmp_path)
    out = make_store().out
    content = load_hashed_json(out / FILE)
    save_json(out / FILE, {name: value for name, value in content.items() if name != "folder"})
    with pytest.raises(ValueError, match=r"sweep.json' is damaged: folder must be a text, and it is missing"):
        read_settings(out)
    save_hashed_json(out / FILE, content)
    assert read_settings(out)[0]["grid"] == ["kl-weight=1,2"]
    (out / FILE).write_text((out / FILE).read_text().replace("kl-weight=1,2", "kl-weight=1,3"))
    with pytest.raises(ValueError, match=r"sweep.json' is damaged.* Sweep again with another --out; finished runs "):
        read_settings(out)
    with pytest.raises(ValueError, match=r"sweep.json' is damaged: .*Choose another --out; the other files stay in"):
        make_store()
    (out / FILE).unlink()
    with pytest.raises(ValueError, match=r"must be a new or an empty folder, but it holds 'sweep\.csv'"):
        make_store()  # so the same folder would not do


def test_the_final_figures_are_those_of_each_command_s_report(narrow_run, refined_run, tmp_path):
    report = json.loads((narrow_run / "report.json").read_text())
    figures = SWEPT["train"].figures(narrow_run)
    assert figures["loss_nats"] == report["last_epoch"]["loss_nats"]
    assert figures["test_loss_nats"] == report["test_loss_nats"]
    held_out = json.loads((refined_run / "refine.json").read_text())["held_out"]
    figures = SWEPT["refine"].figures(refined_run)
    assert figures["correct_after"] == held_out["after"]["reporting_judge"]["correct"]["share"]
    assert figures["score_before"] == held_out["before"]["rewarding_judge_score"]
    rows = [{"sampler": "prior", "agent": "none", "figures": {"correct": {"value": 0.75}}}]
    rows.append({"sampler": "prior", "agent": "sac-refine", "figures": {}})
    (tmp_path / "compare.json").write_text(json.dumps({"table": rows}))
    assert SWEPT["compare"].figures(tmp_path) == {"correct, prior, none": 0.75}
    (tmp_path / "report.json").write_text('{"validation_squared_error": 0.5, "validation_kl_nats": 9.0}')
    assert SWEPT["recipe"].figures(tmp_path) == {"validation_squared_error": 0.5, "validation_kl_nats": 9.0}
