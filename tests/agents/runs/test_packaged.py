"""The weights that come with the package."""

import json
import os
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import read_card

from agents import GenerateArgs, generate
from agents.commands.compare import load_compared_run
from agents.rl import picture_policy as refine_policy
from agents.runs import packaged
from agents.runs.packaged import load_packaged, read_package
from hand_env.anatomy import Judge, summarise
from hand_env.anatomy.picture_files import read_files
from hand_env.refinement import SeesPictures
from vae.images import to_float

SETS = ["photographs", "synthetic"]
FILES = {"README.md", "package.json", *(f"{part}.safetensors" for part in ("encoder", "decoder", "prior", "refiner"))}


REJECTING = "photographs"  # the set that has a classifier of latents


def samplers(name):
    return [*(["rejection"] if name == REJECTING else []), "prior", "normal"]


def folder(name):
    return Path(str(resources.files("agents") / "weights" / name))


@pytest.mark.parametrize("name", SETS)
def test_a_set_takes_at_most_40_megabytes_no_file_of_16_mebibytes_and_has_a_card(name):
    sizes = {path.name: path.stat().st_size for path in folder(name).iterdir()}
    assert sizes.keys() == FILES | ({"classifier.safetensors"} if name == REJECTING else set())
    assert sum(sizes.values()) <= 40_000_000
    assert max(sizes.values()) < 16 * 2**20
    card = (folder(name) / "README.md").read_text(encoding="utf-8")
    for section in ("## Use", "## Data and licence", "## Training", "## Measured", "## Limits"):
        assert f"\n{section}\n" in card


@pytest.mark.parametrize("name", SETS)
def test_its_card_is_one_that_huggingface_hub_reads_with_the_rates_of_its_table(name):
    card = read_card((folder(name) / "README.md").read_text(encoding="utf-8"))
    assert card.data.license == ("mit" if name == "synthetic" else "other")
    assert card.data.datasets is None
    rate = r"([\d.]+)% \(([\d.]+) to ([\d.]+)\)"
    told = [list(map(float, each)) for each in re.findall(rate, card.text)]
    found = card.data.eval_results
    assert [[each.metric_value, each.metric_args["low_95"], each.metric_args["high_95"]] for each in found] == told
    assert len(told) == 4
    by = re.search(r"By (.* judge), which no training used, on 1,000 latents", card.text).group(1)
    assert {each.metric_name for each in found} == {
        f"{criterion} hands by {by}, % of 1,000" for criterion in ("correct", "anatomical")
    }


@pytest.mark.parametrize("name", SETS)
def test_it_has_the_paper_s_latents_a_learned_prior_and_an_agent(name):
    run = load_packaged(name)
    assert (run.vae.size, run.vae.latent_dim) == (128, 300)
    assert list(run.samplers) == samplers(name)
    assert run.refiner is not None
    assert run.refiner.notes.env_id == "HandRefine-v0"


@pytest.mark.parametrize("name", SETS)
def test_compare_takes_it_apart_as_it_does_a_run(name):
    loaded = load_compared_run(folder(name))
    assert list(loaded.samplers) == samplers(name)
    assert list(loaded.agents) == ["sac-refine"]
    assert loaded.split_seed == 0  # the judges' people, not those of some seed
    assert loaded.sha256.keys() == {"vae", "sac-refine", *samplers(name)} - {"normal"}
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
    latents = np.zeros((3, 300), np.float32)
    acting.agent.predict(latents, deterministic=True)
    assert sum(decoded) == 3
    decoded.clear()
    assert isinstance(acting.agent, SeesPictures)
    acting.agent.show(torch.from_numpy(latents[:1]), torch.zeros(1, 3, 128, 128))
    acting.agent.predict(latents[:1], deterministic=True)
    assert sum(decoded) == acting.looks == 0


@pytest.fixture
def packed(tmp_path):
    """A set of weights whose package.json may be spoilt; its other files are never reached."""
    copy = tmp_path / "packed"
    copy.mkdir()
    for path in folder("synthetic").iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "package.json").unlink()
    return copy


def spoilt(packed, change):
    content = json.loads((folder("synthetic") / "package.json").read_text())
    change(content)
    (packed / "package.json").write_text(json.dumps(content))
    return packed


def test_a_copy_of_a_set_is_read(packed):
    assert read_package(spoilt(packed, lambda content: None)).refiner is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["sha256"].update({"../../../etc/passwd": "0" * 64}),
            r"names '\.\./.*/passwd' under 'sha256', which",
        ),
        (lambda c: c["sha256"].update({"/dev/zero": "0" * 64}), "names '/dev/zero' under 'sha256', which is no file"),
        (lambda c: c.update(sha256={}), "must name each file .* and encoder.safetensors is missing"),
        (lambda c: c["sha256"].pop("refiner.safetensors"), "must name each file .* and refiner.safetensors is missing"),
        (lambda c: c["sha256"].update({"prior.safetensors": 3}), "must be 64 hexadecimal digits, got 3"),
        (lambda c: c["sha256"].update({"prior.safetensors": "0" * 64}), "prior.safetensors is not the file that was"),
        (lambda c: c.update(sha256=[]), "must hold the objects 'settings' and 'sha256', and 'sha256' is none"),
        (lambda c: c.pop("settings"), "must hold the objects 'settings' and 'sha256', and 'settings' is none"),
        (
            lambda c: c["settings"].update(reencode_passes=10**30),
            r"reencode_passes .* an integer in 0\.\.1000, got 10+",
        ),
        (lambda c: c["settings"].update(size="128"), r"settings.size .* one of 32, 64, 128, 256, got '128'"),
        (lambda c: c["settings"].update(size=[128]), r"settings.size .* one of 32, 64, 128, 256, got \[128\]"),
        (lambda c: c["settings"].update(width=None), "settings.width .* one of 'small', 'large', got None"),
        (lambda c: c["settings"].update(latent_dim=True), "settings.latent_dim .* an integer in .*, got True"),
        (lambda c: c["settings"].update(latent_dim=300.0), "settings.latent_dim .* an integer in .*, got 300.0"),
        (lambda c: c["settings"].update(batch_size=10**12), "settings.batch_size .* an integer in .*, got 10+"),
        (lambda c: c["settings"].update(agent="sac-flat"), "settings.agent .* one of 'none', got 'sac-flat'"),
        (lambda c: c["settings"].pop("seed"), "settings.seed .* an integer in .*, got None"),
        (lambda c: c["settings"].update(data=1), "settings.data .* a text, got 1"),
    ],
)
def test_a_package_json_that_breaks_a_rule_is_one_sentence(packed, change, message):
    with pytest.raises(ValueError, match=rf"The weights in '.*packed' are damaged: .*{message}"):
        read_package(spoilt(packed, change))


def test_a_rule_is_checked_before_any_file_is_opened(packed, monkeypatch):
    opened = []
    monkeypatch.setattr(packaged, "sha256", lambda path: opened.append(path.name))
    with pytest.raises(ValueError, match="under 'sha256'"):
        read_package(spoilt(packed, lambda content: content["sha256"].update({"../more": "0" * 64})))
    assert opened == []


@pytest.mark.parametrize("text", ["[]", "null", "{", "[" * 100_000, '{"settings": {}, "sha256": {}}', " " * 2**21])
def test_a_package_json_that_is_something_else_is_one_sentence(packed, text):
    (packed / "package.json").write_text(text)
    with pytest.raises(ValueError, match=r"The weights in '.*packed' are damaged: "):
        read_package(packed)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_file_of_a_set_that_is_a_pipe_is_not_waited_for(packed):
    (packed / "encoder.safetensors").unlink()
    os.mkfifo(packed / "encoder.safetensors")
    with pytest.raises(ValueError, match=r"encoder\.safetensors is missing"):
        read_package(spoilt(packed, lambda content: None))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_forty_hands_of_it_are_right_by_the_judge_that_no_training_saw(name, tmp_path):
    generate(GenerateArgs(weights=name, n=40, out=tmp_path / "hands"))
    drawn = torch.stack(read_files(sorted((tmp_path / "hands").glob("hand-*.png"))))
    assert drawn.shape == (40, 3, 128, 128)
    assert summarise(Judge.load(architecture="reporter").judge(to_float(drawn))).correct.count >= 36
