"""A full disk: one sentence, status 2, no half-written file, and the work resumes.

The disk is full for files above a size, as the system limits them, or from some file on, where files are synced.
"""

import errno
import os
import warnings
from contextlib import contextmanager

import pytest
import torch

from agents.cli import main
from agents.commands.compare.store import MethodStore
from vae.images.cache import load_cached, store_cached

TRAIN = ["train", "--images", "24", "--size", "32", "--epochs", "2", "--batch-size", "4", "--latent-dim", "5"]
TRAIN += ["--device", "cpu", "--checkpoint-seconds", "0"]
TINY = ["--samples", "32", "--rows", "16", "--width", "16", "--held-out", "8", "--policy", "latents", "--device", "cpu"]
RECIPE = ["--width", "small", "--drawn", "40", "--workers", "0", "--steps", "10", "--batch", "4", "--varied", "4"]
RECIPE += ["--prior-from", "1", "--candidates", "4", "--accept", "1"]
RECIPE += ["--flow-steps", "4", "--latent-samples", "0", "--refine-samples", "0", "--device", "cpu"]


class Brightness:
    """Stands in for the rewarding judge, as in tests/agents."""

    def __init__(self, architecture="parser", device="cpu"):
        pass

    def score(self, pictures):
        return 0.5 * pictures.mean((1, 2, 3))


@pytest.fixture(autouse=True)
def bright(monkeypatch):
    monkeypatch.setattr("hand_env.refinement.default_judge", Brightness)


@contextmanager
def files_up_to(size):
    """Let the system refuse to write more than `size` bytes into a file."""
    resource = pytest.importorskip("resource", reason="this system does not limit the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full_from(number):
    """Let the disk be full from a file on, counted from 0, when it is synced."""
    synced, sync = [], os.fsync

    def full(file):
        synced.append(file)
        if len(synced) > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield synced


def said(capsys):
    """Return the last line on standard error, without progress bars; no traceback is among the others."""
    lines = [line for line in capsys.readouterr().err.splitlines() if "it/s]" not in line and "/s, " not in line]
    assert not any("Traceback" in line for line in lines), lines
    return lines[-1]


def half_written(folder):
    return [str(path) for path in folder.rglob("*") if "partial" in path.name or path.name in (".lock", ".unfinished")]


def test_a_checkpoint_that_does_not_fit_is_one_sentence_and_the_run_resumes(capsys, tmp_path):
    out = tmp_path / "run"
    with files_up_to(200_000):
        assert main([*TRAIN, "--agent", "none", "--out", str(out)]) == 2
    words = said(capsys)
    assert words.startswith(f"handlatent train: '{out}/checkpoints/")
    assert "tensors.safetensors' could not be written: " in words
    assert "File too large" in words
    assert words.endswith("Files written before are whole.")
    assert half_written(tmp_path) == []
    assert list((out / "checkpoints").iterdir()) == []
    assert main(["train", "--resume", str(out)]) == 0


@pytest.mark.parametrize(("agent", "every"), [("none", 7), pytest.param("sac-flat", 1, marks=pytest.mark.long)])
def test_a_training_on_a_full_disk_resumes_wherever_it_was(capsys, tmp_path, agent, every):
    number = 0
    while True:
        out = tmp_path / str(number)
        with full_from(number) as synced:
            status = main([*TRAIN, "--agent", agent, "--out", str(out)])
        if status == 0:
            break
        words = said(capsys)
        assert status == 2
        assert "could not be written: No space left on device" in words
        assert half_written(out) == []
        if any((out / "checkpoints").glob("step-*")):
            assert f"Then continue with: handlatent train --resume {out}" in words
            assert main(["train", "--resume", str(out)]) == 0
            assert (out / "report.json").is_file()
        number += every
    assert len(synced) > every


def test_a_refiner_s_training_on_a_full_disk_resumes(capsys, trained, tmp_path):
    out = tmp_path / "refined"
    words = ["refine", str(trained), *TINY, "--out", str(out)]
    attempts = 0
    while True:
        with full_from(5):  # more space is made before each attempt
            status = main(words)
        if status == 0:
            break
        attempts += 1
        assert "could not be written: No space left on device" in said(capsys)
        assert half_written(out) == []
        assert attempts < 20
    assert attempts > 1


@pytest.mark.long
def test_a_recipe_on_a_full_disk_resumes(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.commands.recipe.command.MIXTURE", 1024)
    out = tmp_path / "recipe"
    for number in (0, 1, 2):  # settings, the training log, the VAE; the first two of them are written again
        with full_from(number):
            assert main(["recipe", *RECIPE, "--out", str(out)]) == 2
        assert "could not be written: No space left on device" in said(capsys)
        assert half_written(out) == []
    assert main(["recipe", *RECIPE, "--out", str(out)]) == 0


@pytest.mark.parametrize("number", [0, 1])
def test_pictures_on_a_full_disk_leave_nothing(capsys, trained, tmp_path, number):
    with full_from(number):
        assert main(["generate", str(trained), "--n", "3", "--out", str(tmp_path / "hands")]) == 2
    assert "could not be written: No space left on device" in said(capsys)
    with files_up_to(1000):
        assert main(["generate", str(trained), "--n", "3", "--out", str(tmp_path / "hands")]) == 2
    assert "hand-000.png' could not be written: File too large" in said(capsys)
    with files_up_to(1000):
        assert main(["synth", "--n", "3", "--size", "32", "--out", str(tmp_path / "hands")]) == 2
    assert "hand-000000.png' could not be written: File too large" in said(capsys)
    assert not (tmp_path / "hands").exists()


def test_a_comparison_on_a_full_disk_keeps_the_figures_before(tmp_path):
    store = MethodStore(tmp_path, {"n": 20})
    before = (tmp_path / "compare.json").read_text()
    with full_from(0), pytest.raises(OSError, match=r"compare\.json' could not be written: No space left on device"):
        store.write([{"row": 1}])
    assert half_written(tmp_path) == []
    assert (tmp_path / "compare.json").read_text() == before


def test_a_cache_on_a_full_disk_is_a_warning(tmp_path):
    pixels = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    with files_up_to(1000), pytest.warns(UserWarning, match=r"could not be saved .*File too large.* next time"):
        store_cached(tmp_path / "cache" / "a.safetensors", pixels, {})
    assert list((tmp_path / "cache").iterdir()) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store_cached(tmp_path / "cache" / "a.safetensors", pixels, {})
    assert load_cached(tmp_path / "cache" / "a.safetensors", 8, 32) is not None
