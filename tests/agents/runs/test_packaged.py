"""The weights that come with the package."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import GenerateArgs, generate
from agents.commands.compare import load_compared_run
from agents.commands.judge import read_picture
from agents.rl import picture_policy as refine_policy
from agents.runs.packaged import load_packaged
from hand_env.anatomy import Judge, summarise

SETS = ["photographs", "synthetic"]
FILES = {"README.md", "package.json", *(f"{part}.safetensors" for part in ("encoder", "decoder", "prior", "refiner"))}


def folder(name):
    return Path(str(resources.files("agents") / "weights" / name))


@pytest.mark.parametrize("name", SETS)
def test_a_set_takes_at_most_40_megabytes_no_file_of_16_mebibytes_and_has_a_card(name):
    sizes = {path.name: path.stat().st_size for path in folder(name).iterdir()}
    assert sizes.keys() == FILES
    assert sum(sizes.values()) <= 40_000_000
    assert max(sizes.values()) < 16 * 2**20
    card = (folder(name) / "README.md").read_text(encoding="utf-8")
    for section in ("## Use", "## Data and licence", "## Training", "## Measured", "## Limits"):
        assert f"\n{section}\n" in card


@pytest.mark.parametrize("name", SETS)
def test_it_has_the_paper_s_latents_a_learned_prior_and_an_agent(name):
    run = load_packaged(name)
    assert (run.vae.size, run.vae.latent_dim) == (128, 300)
    assert list(run.samplers) == ["prior", "normal"]
    assert run.refiner is not None
    assert run.refiner.notes.env_id == "HandRefine-v0"


@pytest.mark.parametrize("name", SETS)
def test_compare_takes_it_apart_as_it_does_a_run(name):
    loaded = load_compared_run(folder(name))
    assert list(loaded.samplers) == ["prior", "normal"]
    assert list(loaded.agents) == ["sac-refine"]
    assert loaded.split_seed == 0  # the judges' people, not those of some seed
    assert loaded.sha256.keys() == {"vae", "prior", "sac-refine"}
    assert '"split_seed": 0' in loaded.settings
    assert "sha256" not in loaded.settings  # two refiners on one VAE share cells


@pytest.mark.parametrize("name", SETS)
def test_what_its_agent_decodes_for_itself_is_counted(name, monkeypatch):
    decoded, pictures = [], refine_policy._pictures

    def counted(vae, latents):
        decoded.append(len(latents))
        return pictures(vae, latents)

    monkeypatch.setattr(refine_policy, "_pictures", counted)
    acting = load_compared_run(folder(name)).agents["sac-refine"]
    acting.agent.predict(np.zeros((3, 300), np.float32), deterministic=True)
    assert sum(decoded) == 3 * acting.looks == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_forty_hands_of_it_are_right_by_the_judge_that_no_training_saw(name, tmp_path):
    generate(GenerateArgs(weights=name, n=40, out=tmp_path / "hands"))
    drawn = torch.stack([read_picture(file) for file in sorted((tmp_path / "hands").glob("hand-*.png"))])
    assert drawn.shape == (40, 3, 128, 128)
    assert summarise(Judge.load(architecture="reporter").judge(drawn)).correct.count >= 36
