import ast
import csv
import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agents import GenerateArgs, cli, load_run
from agents.cli import COMMANDS, main
from agents.commands.synth import SynthArgs
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.rl.sac import SETTINGS
from vae.files import load_hashed_json, save_hashed_json
from vae.images.synthetic import DEFECTS, generate_hands

QUICK = ["--images", "24", "--size", "32", "--epochs", "2", "--batch-size", "4", "--latent-dim", "5", "--device", "cpu"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of a few seconds."""
    settings = {"images": 24, "size": 32, "epochs": 4, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SETTINGS, "learning_starts", 8)
        return train(TrainArgs(**settings, agent="sac-flat", out=tmp_path_factory.mktemp("runs") / "run"))


def fails(capsys, *words):
    """Run a command that must fail; return its one sentence."""
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main([str(word) for word in words]))
    assert stop.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line and not re.search("it/s|s/it", line)]
    assert len(lines) == 1, lines  # progress bars aside
    return lines[0]


def test_help_names_every_flag_of_every_dataclass_and_says_of_each_what_stands_below_it(capsys):
    for name, (settings, _) in COMMANDS.items():
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        words = " ".join(text.split())
        flags: dict[str, str] = {}
        for kind in filter(dataclasses.is_dataclass, reversed(settings.__mro__)):  # a command may have another's flags
            (definition,) = ast.parse(inspect.getsource(kind)).body
            assert isinstance(definition, ast.ClassDef)
            lines: list[Any] = definition.body
            fields = [at for at, line in enumerate(lines) if isinstance(line, ast.AnnAssign)]
            flags |= {lines[at].target.id: lines[at + 1].value.value for at in fields}
        assert list(flags) == [item.name for item in dataclasses.fields(settings)]
        for field, said in flags.items():
            assert f"--{field.replace('_', '-')}" in text or f"{field.upper()}" in text
            assert " ".join(said.split()) in words


def test_an_unknown_flag_and_a_wrong_choice_are_one_sentence(capsys):
    assert fails(capsys, "train", "--sise", "32") == "handlatent: unrecognized arguments: --sise 32"
    said = fails(capsys, "train", "--size", 48)
    assert "argument --size: invalid choice: '48' (choose from '32', '64', '128', '256')" in said
    assert "invalid int value: 'many'" in fails(capsys, "train", "--epochs", "many")


def test_a_run_is_named_by_position_and_its_agent_can_be_left_out(monkeypatch):
    taken: list[GenerateArgs] = []
    monkeypatch.setitem(COMMANDS, "generate", (GenerateArgs, taken.append))
    for words in (["runs/mine"], ["runs/mine", "--no-agent"], ["runs/mine", "--agent"]):
        assert main(["generate", *words]) == 0
    assert [(args.run, args.agent) for args in taken] == [(Path("runs/mine"), agent) for agent in (True, False, True)]


def test_the_refiner_can_be_left_out_and_best_of_is_a_flag_of_its_own(monkeypatch):
    taken: list[GenerateArgs] = []
    monkeypatch.setitem(COMMANDS, "generate", (GenerateArgs, taken.append))
    for words in ([], ["--no-refine"], ["--best-of", "4"]):
        assert main(["generate", "runs/mine", *words]) == 0
    assert [(args.refine, args.best_of) for args in taken] == [(True, 1), (False, 1), (True, 4)]


def test_importing_agents_leaves_pyyaml_as_it_is_and_the_command_line_imports_nothing_that_takes_seconds():
    code = """if True:
        import sys, agents
        print("simple_parsing" in sys.modules)  # it registers with PyYAML
        import agents.cli
        late = {"huggingface_hub", "httpx2", "ray", "scipy.spatial", "scipy.stats", "sklearn", "torch._dynamo"}
        print(*late & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n\n"), done.stderr


def test_a_device_that_is_not_there_is_one_sentence(capsys, tmp_path):
    words = fails(capsys, "train", *QUICK[:-1], "cuda:99", "--out", tmp_path / "run")
    assert "device 'cuda:99' is not on this machine" in words
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_out_that_holds_a_run_is_one_sentence(capsys, finished):
    before = (finished / "config.json").read_text()
    words = fails(capsys, "train", *QUICK, "--out", finished)
    assert "already holds a run" in words
    assert "--resume" in words
    assert (finished / "config.json").read_text() == before


def test_a_folder_that_is_not_a_run_is_one_sentence(capsys, tmp_path):
    assert "is not a run: it has no config.json" in fails(capsys, "generate", tmp_path, "--out", tmp_path / "x")
    assert "is not a run: it has no config.json" in fails(capsys, "train", "--resume", tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert "is damaged" in fails(capsys, "generate", tmp_path, "--out", tmp_path / "x")


def test_a_folder_with_a_lock_alone_is_no_run_and_free_for_one(capsys, tmp_path):
    (tmp_path / ".lock").touch()  # of a `train` that was killed before it wrote anything
    assert f"Make one with: handlatent train --out {tmp_path}" in fails(capsys, "train", "--resume", tmp_path)


def test_a_file_in_place_of_the_checkpoints_is_one_sentence(capsys, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "report.json").unlink()
    (run / "checkpoints").touch()
    said = fails(capsys, "train", "--resume", run)
    assert f"'{run / 'checkpoints'}' must be the folder of the checkpoints, and is a file. Remove it." in said


def test_resume_refuses_other_settings_and_finished_runs(capsys, finished):
    assert "leave --epochs out" in fails(capsys, "train", "--resume", finished, "--epochs", 9)
    said = fails(capsys, "train", "--resume", finished, "--ep", TrainArgs.epochs)  # a default is another value, too
    assert "whose --epochs is 4, got 60; leave --epochs out." in said
    assert "leave --agent out" in fails(capsys, "train", "--resume", finished, "--agent=sac", "--epochs", 4)
    assert "leave --out out" in fails(capsys, "train", "--resume", finished, "--out", "runs/train")
    same = ["--epochs", 4, "--agent", "sac-flat", "--out", finished]
    assert "is finished" in fails(capsys, "train", "--resume", finished, *same)
    assert "is finished" in fails(capsys, "train", "--resume", finished)


def test_an_unfinished_run_is_told_from_a_finished_one(capsys, finished, tmp_path):
    shutil.copy(finished / "config.json", tmp_path)
    assert "is not finished. Continue it with: handlatent train --resume" in fails(capsys, "generate", tmp_path)
    config = load_hashed_json(tmp_path / "config.json")
    config["settings"] |= {"flow_steps": 4}  # of a recipe, which resumes with all its settings alone
    save_hashed_json(tmp_path / "config.json", config)
    said = f"Repeat the command `recipe` that started it, with the settings in '{tmp_path / 'config.json'}'."
    assert fails(capsys, "generate", tmp_path).endswith(said)
    said = f" the command `recipe` that started it, with the settings in '{tmp_path / 'config.json'}'."
    assert fails(capsys, "train", "--resume", tmp_path).endswith(f"is a run of `recipe`: repeat{said}")
    taken = fails(capsys, "train", *QUICK, "--out", tmp_path)
    assert taken.endswith(f"already holds a run. Choose another --out, or repeat{said}")


def test_a_training_prints_its_result_alone_on_stdout(capsys, tmp_path):
    assert main(["train", *QUICK, "--batch-size", "64", "--agent", "none", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'run'}\n"
    assert "there are no more pictures to train on" in printed.err


def test_missing_data_and_too_many_images_are_one_sentence(capsys, tmp_path):
    absent = fails(capsys, "train", "--data", tmp_path / "absent", "--out", tmp_path / "run")
    assert "must be a folder of pictures" in absent
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
    assert fails(capsys, "train", "--images", 0, "--out", tmp_path / "run").endswith(
        "--images must be at least 1, got 0."
    )
    many = fails(capsys, "train", *QUICK, "--data", tmp_path, "--images", 4, "--out", tmp_path / "run")
    assert re.search(r"There are 3 pictures", many)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    "wrong", [["--data", "absent"], ["--epochs", 0], ["--latent-dim", 0], ["--delta-scale", 0], ["--seed", -1]]
)
def test_a_failed_start_leaves_a_folder_that_can_be_used(capsys, tmp_path, wrong):
    fails(capsys, "train", *QUICK, *wrong, "--out", tmp_path / "run")
    assert main(["train", *QUICK, "--agent", "none", "--out", str(tmp_path / "run")]) == 0


@pytest.mark.filterwarnings("default::UserWarning")  # the command prints it, as it does for a user
def test_a_picture_that_cannot_be_used_is_named_and_counted(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "empty.png").write_bytes(b"")
    words = [*QUICK, "--images", "13", "--data", str(tmp_path), "--agent", "none", "--out", str(tmp_path / "run")]
    assert main(["train", *words]) == 0
    errors = capsys.readouterr().err
    assert errors.count("Warning: ") == 1
    assert "1 of 13 pictures cannot be used and are left out:" in errors
    assert errors.count("empty.png is empty (0 bytes)") == 1
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["pictures"]["not_usable"] == 1
    assert report["pictures"]["images"] == 12
    assert report["not_usable"] == ["empty.png is empty (0 bytes)"]


def test_generate_writes_single_pictures_and_a_grid_that_repeat_by_seed(capsys, finished, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert main(["generate", str(finished), "--n", "7", "--seed", str(seed), "--out", str(tmp_path / name)]) == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["generated.json", "grid.png", *(f"hand-{number:03d}.png" for number in range(7))]
    a, b, c = (np.asarray(Image.open(tmp_path / name / "hand-003.png")) for name in "abc")
    assert a.shape == (32, 32, 3)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert "--n must be at least 1, got 0" in fails(capsys, "generate", finished, "--n", 0)


def test_pictures_of_an_earlier_command_and_runs_are_not_overwritten(capsys, finished, tmp_path):
    words = ["generate", finished, "--n", 2, "--out", tmp_path / "hands"]
    assert main([str(word) for word in words]) == 0
    assert "already holds pictures" in fails(capsys, *words)
    assert "already holds a run" in fails(capsys, "generate", finished, "--out", finished)
    assert "already holds pictures" in fails(capsys, "synth", "--n", 1, "--out", tmp_path / "hands")


OWN_WORDS: dict[str, list[Any]] = {
    "train": ["train", *QUICK, "--out"],
    "generate": ["generate", "--n", 1, "--out"],
    "synth": ["synth", "--n", 1, "--out"],
    "recipe": ["recipe", "--out"],
    "curriculum": ["curriculum", "--images", 400, "--size", 32, "--device", "cpu", "--out"],
    "schedule": ["schedule", "--out"],
    "judge": ["judge", "--overlay"],
    "judge-report": ["judge-report", "--wrong"],
    "judge-train": ["judge-train", "--out"],
}


@pytest.mark.parametrize("command", OWN_WORDS)
@pytest.mark.parametrize("name", ["labels.csv", "grid.png", "metrics.csv", "agent.safetensors"])
def test_a_folder_with_files_of_somebody_else_is_refused_by_their_name_and_left_as_it_is(
    capsys, tmp_path, command, name, monkeypatch
):
    monkeypatch.setattr("agents.commands.curriculum.command.read_packed", lambda *_: Nothing())
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "one.png")
    (theirs / name).write_text("theirs")
    pictures = [tmp_path / "one.png"] if command == "judge" else []
    flag = str(OWN_WORDS[command][-1])
    words = fails(capsys, *OWN_WORDS[command], theirs, *pictures)
    assert f"{flag} '{theirs}' must be a new or an empty folder, but it holds {name!r}, which is in the way." in words
    assert [path.name for path in theirs.iterdir()] == [name]
    assert (theirs / name).read_text() == "theirs"


class Nothing:
    """Stands in for pictures that a refused command never reads."""

    sha256, training = "", range(800)


def test_a_package_and_a_refined_copy_do_not_go_among_files_of_somebody_else(capsys, finished, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").touch()
    assert "it holds 'mine.txt', which is in the way" in fails(capsys, "refine", finished, "--out", tmp_path)
    run = types.SimpleNamespace(samplers={"prior": None})
    monkeypatch.setattr("agents.commands.package.command.load_run", lambda folder: run)
    assert "it holds 'mine.txt', which is in the way" in fails(capsys, "package", finished, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_hidden_files_of_the_system_are_not_in_the_way(tmp_path):
    (tmp_path / ".DS_Store").touch()
    assert main(["synth", "--n", "1", "--size", "32", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "labels.csv").is_file()


def test_home_is_found_in_every_path(monkeypatch, tmp_path):
    taken: list[Any] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, words in {
        "train": ["--out=~/run", "--data=~/hands", "--agent-weights=~/agent"],
        "judge": ["~/one.png", "~/two.png", "--overlay=~/seen"],
    }.items():
        monkeypatch.setitem(COMMANDS, name, (COMMANDS[name][0], taken.append))
        assert main([name, *words]) == 0
    run, judged = taken
    assert (run.out, run.data, run.agent_weights) == (tmp_path / "run", str(tmp_path / "hands"), tmp_path / "agent")
    assert judged.paths == [tmp_path / "one.png", tmp_path / "two.png"]
    assert judged.overlay == tmp_path / "seen"


def test_a_name_that_the_terminal_cannot_show_is_printed_escaped_and_the_command_succeeds(tmp_path):
    name = "hände-".encode() + b"\xff"
    code = "import sys; from agents.cli import main; sys.exit(main(sys.argv[1:]))"
    out = os.path.join(os.fsencode(tmp_path), name)
    words: list[str | bytes] = ["synth", "--n", "1", "--size", "32", "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},  # all is ASCII
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert rb"h\udcc3\udca4nde-\udcff" in done.stdout
    assert os.path.isfile(os.path.join(out, b"labels.csv"))


def test_a_damaged_run_is_one_sentence(capsys, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "vae.safetensors").write_bytes(b"not weights")
    assert "is damaged" in fails(capsys, "generate", run, "--out", tmp_path / "hands")
    config = json.loads((run / "config.json").read_text())
    del config["sha256"]
    (run / "config.json").write_text(json.dumps({**config, "settings": {**config["settings"], "colour": 1}}))
    (run / "report.json").unlink()
    assert "is damaged or from another version" in fails(capsys, "train", "--resume", run)


def test_choices_of_photographs_are_refused_for_synthetic_hands(capsys, tmp_path):
    words = fails(capsys, "train", *QUICK, "--side", "palmar", "--out", tmp_path / "run")
    assert words.endswith("--side can be chosen for 11k Hands only, got 'palmar'. Leave it out.")


def test_the_agent_s_deltas_move_latents_by_at_most_kappa(finished):
    run = load_run(finished)
    latents = run.samplers["mixture"].sample(7, seed=0)
    deltas = run.deltas(latents)
    assert deltas.shape == latents.shape
    assert 0 < deltas.abs().max() <= 1


def test_nothing_is_unpickled_when_a_run_is_loaded(finished, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for name in (
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "torch.load",
        "cloudpickle.load",
        "cloudpickle.loads",
    ):
        monkeypatch.setattr(name, refuse)
    assert load_run(finished).agent is not None


def test_synth_writes_pictures_and_labels_that_agree_with_the_library(tmp_path):
    words = ["synth", "--n", "3", "--size", "48", "--defect", "ghost_digit", "--seed", "5", "--out", str(tmp_path)]
    assert main(words) == 0
    hands = generate_hands(3, 48, seed=5, defect="ghost_digit")
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["hand-000000.png", "hand-000001.png", "hand-000002.png"]
    for number, row in enumerate(rows):
        picture = np.asarray(Image.open(tmp_path / row["image"]))
        assert np.array_equal(picture, hands.images[number].permute(1, 2, 0).numpy())
        assert row["defect"] == "ghost_digit"
        assert float(row["joint_8_y"]) == pytest.approx(hands.joints[number, 8, 1].item(), abs=0.006)


def test_synth_offers_every_defect():
    choices = SynthArgs.__annotations__["defect"].__args__
    assert choices == ("none", "any", *DEFECTS)


def test_synth_refuses_a_wrong_number(capsys, tmp_path):
    assert "n must be" in fails(capsys, "synth", "--n", 0, "--out", tmp_path)


def test_a_second_ctrl_c_ends_without_a_traceback(capsys, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "synth", (SynthArgs, interrupt))
    assert main(["synth"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"
