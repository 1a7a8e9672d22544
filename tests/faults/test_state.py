"""What a run writes is read as it was written, or refused in one sentence; a checkpoint before the damaged one is used.

`tests/agents` shows that runs resume bit for bit; here their files are damaged at random, from a seed.
"""

import copy
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import damaged, flipped
from safetensors.torch import load_file, save_file

from agents.cli import main
from agents.commands.refine import training as refining
from agents.commands.schedule import command as scheduling
from agents.commands.train.training import _STATE
from agents.runs.checkpointing import Checkpointer
from agents.runs.json_rules import OBJECT, OBJECTS
from agents.runs.run import load_run
from agents.runs.run_folder import read_config
from vae.checkpoint import save_checkpoint
from vae.files import DamagedError, load_hashed_json, save_hashed_json, save_tensors

AMOUNTS = [25, pytest.param(300, marks=pytest.mark.long)]


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def state(step):
    return {"env": {"weights": torch.full((40,), float(step))}, "training_log": [{"step": step}]}


def two_checkpoints(folder):
    for step in (1, 2):
        save_checkpoint(folder, step, state(step))


def value(found):
    return float(found["env"]["weights"][0]), found["training_log"][0]["step"], len(found["env"]["weights"].unique())


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors"])
def test_a_damaged_checkpoint_gives_its_own_state_or_the_one_before(tmp_path, name, amount):
    rng, earlier = np.random.default_rng(0), 0
    for number in range(amount):
        folder = tmp_path / str(number)
        two_checkpoints(folder)
        path = folder / "step-2" / name
        path.write_bytes((flipped, damaged)[number % 2](path.read_bytes(), rng))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = Checkpointer(folder, 0).load({"env": OBJECT, "training_log": OBJECTS})
        if said:
            earlier += 1
            assert re.search(
                rf"step-2.*\. Resuming from the checkpoint before, '{folder}/step-1'", str(said[0].message)
            )
            assert not (folder / "step-2").exists()  # or the next checkpoint of this step would not be written
        assert value(found) == ((1, 1, 1) if said else (2, 2, 1))
    assert 0 < earlier


def test_checkpoints_that_are_all_damaged_are_one_sentence(tmp_path):
    two_checkpoints(tmp_path)
    for path in tmp_path.glob("*/state.json"):
        path.write_text(path.read_text().replace("step", "stop"))
    with pytest.raises(
        DamagedError, match=r"^'.*step-2/state.json' is damaged: its content has another SHA-256 .*\. Remove '"
    ):
        Checkpointer(tmp_path, 0).load()


LOG: dict[str, Any] = {"rows": [{"loss": 1.0}], "sums": {"loss": 0.0}, "agent_log": {}, "seconds": 3.0}
POINTS: dict[str, Any] = {"points": [{"reward": 1.0}], "sums": {"reward": 0.0}, "steps_summed": 2}
PARTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "train": (_STATE, {"env": {"a": torch.zeros(1)}, "agent": {}, "training_log": LOG}),
    "refine": (refining._STATE, {"env": {}, "agent": {}, "training_log": POINTS, "seconds": 3.0}),
    "schedule": (scheduling._STATE, {"settings": {}, "agent": {}, "generator": {}, "rows": [{"n": "8"}]}),
}


@pytest.mark.parametrize(("command", "name"), [(command, name) for command in PARTS for name in PARTS[command][0]])
@pytest.mark.parametrize("how", ["missing", "wrong"])
def test_a_state_that_lacks_a_part_or_has_one_of_a_wrong_type_is_one_sentence(tmp_path, command, name, how):
    rules, whole = PARTS[command]
    content = copy.deepcopy(whole)
    save_checkpoint(tmp_path, 1, content)
    assert Checkpointer(tmp_path, 0).load(rules) is not None
    *parents, last = name.split(".")
    place = content[parents[0]] if parents else content
    if how == "missing":
        del place[last]
    else:
        place[last] = "?"
    save_checkpoint(tmp_path, 2, content)
    shutil.rmtree(tmp_path / "step-1")
    with pytest.raises(DamagedError, match=rf"step-2/state.json' is damaged: {name} must be an?( finite)? \w+"):
        Checkpointer(tmp_path, 0).load(rules)


def test_a_part_that_does_not_fit_the_training_is_named(tmp_path):
    checkpoints = Checkpointer(tmp_path, 0)
    for error in (KeyError("generator"), TypeError("'int' object is not iterable"), AttributeError("no 'items'")):
        with (
            pytest.raises(DamagedError, match=r"'agent' in state.json must fit this training, but .*to start over\.$"),
            checkpoints.restoring("agent"),
        ):
            raise error


def same(first, second):
    pairs = zip(first.vae.state_dict().items(), second.vae.state_dict().items(), strict=True)
    mixtures = first.samplers["mixture"], second.samplers["mixture"]
    return (
        first.settings == second.settings
        and all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)
        and all(torch.equal(getattr(mixtures[0], name), getattr(mixtures[1], name)) for name in ("means", "factors"))
    )


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", ["vae.safetensors", "sampler.safetensors", "config.json"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_damaged_file_of_a_run_is_refused_or_changes_nothing(trained, run, name, amount):
    rng, whole, known = np.random.default_rng(1), (run / name).read_bytes(), load_run(trained)
    said = list[str]()
    for number in range(amount):
        (run / name).write_bytes((flipped, damaged)[number % 2](whole, rng))
        try:
            found = load_run(run)
        except ValueError as error:
            said.append(str(error))
        else:
            assert same(found, known)
    assert said
    assert all(str(run) in words for words in said)


@pytest.mark.parametrize("name", ["vae.safetensors", "sampler.safetensors"])
def test_weights_that_are_not_finite_draw_nothing(capsys, run, tmp_path, name):
    """An earlier version drew black pictures from such a VAE."""
    tensors = load_file(run / name)
    first = sorted(key for key, tensor in tensors.items() if tensor.is_floating_point())[0]
    save_file({**tensors, first: tensors[first] * torch.nan}, run / name)
    assert main(["generate", str(run), "--out", str(tmp_path / "hands")]) == 2
    assert f"{name}' is damaged: it holds numbers that are not finite, in '{first}'" in capsys.readouterr().err
    assert not (tmp_path / "hands").exists()


SETTINGS = ["size", "latent_dim", "width", "batch_size", "agent", "seed", "delta_scale", "data"]


@pytest.mark.parametrize("name", [*SETTINGS, "pictures_sha256"])
def test_a_config_that_lacks_a_key_or_has_a_wrong_type_is_one_sentence(run, name):
    content = load_hashed_json(run / "config.json")
    odd: Any
    for odd in (None, [], {}, -1.5, float("inf"), True):
        place = content if name not in SETTINGS else content["settings"]
        changed = {key: item for key, item in place.items() if key != name}
        changed |= {} if odd is None else {name: odd}
        if name == "delta_scale" and odd == -1.5:  # a number
            continue
        written = changed if name not in SETTINGS else {**content, "settings": changed}
        (run / "config.json").write_text(json.dumps(written))
        with pytest.raises(
            DamagedError, match=rf"config.json' is damaged: (settings\.)?{name} must be .*, (got|and it is)"
        ):
            read_config(run)


def test_a_setting_of_a_wrong_type_is_one_sentence_when_a_run_is_resumed(capsys, run):
    content = load_hashed_json(run / "config.json")
    for name, odd in {"epochs": "9", "images": 1.5, "learning_rate": None, "hand": "third", "out": 3}.items():
        save_hashed_json(run / "config.json", {**content, "settings": {**content["settings"], name: odd}})
        assert main(["train", "--resume", str(run)]) == 2
        assert f"config.json' is damaged: settings.{name} must be " in capsys.readouterr().err


def test_files_of_earlier_versions_have_no_hashes_and_are_read(trained, run):
    for path in run.glob("*.safetensors"):
        save_file(load_file(path), path)
    for path in run.glob("*.json"):
        path.write_text(json.dumps(load_hashed_json(path)))
    assert "sha256" not in (run / "config.json").read_text().replace("pictures_sha256", "")
    assert same(load_run(run), load_run(trained))


def test_equal_weights_with_notes_are_equal_files(tmp_path):
    """Safetensors writes the notes of a header in a random order."""
    written = set()
    for number in range(8):
        save_tensors(tmp_path / "a", {"x": torch.zeros(2), "ä\n": torch.ones(1)}, {"zz": "ö", "note": "1"})
        written.add(Path(tmp_path / "a").read_bytes())
        assert len(written) == 1, number
