import shutil
from typing import Any

import pytest

from agents.runs.run import Run, load_run
from vae.files import load_hashed_json, load_tensors, save_hashed_json, save_tensors


@pytest.mark.parametrize(
    ("settings", "seed"),
    [
        ({"data": "photographs", "seed": 5}, 5),  # of `handlatent train`
        ({"data": "synthetic", "seed": 5}, 0),  # no person to keep apart: the judges' split
        ({"data": "photographs", "seed": 5, "split_seed": 0}, 0),  # of `handlatent recipe`
        ({"data": "synthetic", "seed": 5, "split_seed": 7}, 7),
    ],
)
def test_a_run_knows_the_seed_that_keeps_its_training_people_apart(settings, seed):
    nothing: Any = None
    assert Run(settings, nothing, {}, nothing, None, None).split_seed == seed


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (lambda run: set_up(run, size=64), "vae.safetensors' must hold the weights of a VAE as"),
        (lambda run: set_up(run, latent_dim=7), "vae.safetensors' must hold the weights of a VAE as"),
        (lambda run: set_up(run, agent="sac-flat"), "agent.safetensors"),
        (
            lambda run: shutil.copy(run / "sampler.safetensors", run / "prior.safetensors"),
            "prior.safetensors' must hold the sampler 'prior' as",
        ),
        (lambda run: shorten(run / "sampler.safetensors"), "sampler.safetensors' must hold the sampler 'mixture' as"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_one_sentence_that_names_the_file(narrow_run, tmp_path, change, file):
    run = shutil.copytree(narrow_run, tmp_path / "run")
    change(run)
    with pytest.raises(ValueError, match=file) as caught:
        load_run(run)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Train it again in another folder.")


def set_up(run, **settings):
    config = load_hashed_json(run / "config.json")
    save_hashed_json(run / "config.json", {**config, "settings": {**config["settings"], **settings}})


def shorten(path):
    """Make a mixture draw latents of two numbers."""
    tensors = load_tensors(path)
    tensors |= {"means": tensors["means"][:, :2], "factors": tensors["factors"][:, :2, :2]}
    save_tensors(path, tensors)
