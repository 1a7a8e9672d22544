"""`handlatent package` on networks of the real size with random weights."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import load_file

from agents import RefinePolicy, RowAgent
from agents.commands.package import PackageArgs, package
from agents.commands.recipe import RecipeArgs
from agents.commands.recipe.command import LATENT_DIM
from agents.rl.baselines import NoAction
from agents.rl.row_agent import RowAgentNotes
from agents.runs.manifest import HALVES, PRIOR
from agents.runs.packaged import read_package
from agents.runs.run import Run
from agents.runs.run_folder import CLASSIFIER, CONFIG, MANIFEST, REFINE_REPORT, REFINER, REPORT, sha256
from vae.files import load_weights, save_hashed_json, save_tensors
from vae.model import VAEConfig, build_vae
from vae.quantisation.int8 import LARGE, SCALES
from vae.sampling.flow import FlowPrior, Velocity
from vae.sampling.rejection import LatentClassifier

ROOT = Path(__file__).parents[4]
WIDTH, BLOCKS = 768, 6  # of the prior's network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the recipe's sizes, and its folder with the files that are packed."""
    args, folder = RecipeArgs(), tmp_path_factory.mktemp("run")
    vae = build_vae(VAEConfig(128, LATENT_DIM, args.width), seed=0).eval().requires_grad_(False)
    torch.manual_seed(0)
    for parameter in vae.parameters():  # some are zeros before training, which a zip makes small
        parameter.copy_(parameter.normal_(0, 0.05).half())  # as in a run of the recipe
    prior = FlowPrior(Velocity(LATENT_DIM, WIDTH, BLOCKS), torch.randn(LATENT_DIM), torch.rand(LATENT_DIM) + 0.5)
    prior.save(folder / PRIOR)
    LatentClassifier(LATENT_DIM, 3).save(folder / CLASSIFIER)
    space = spaces.Box(-np.inf, np.inf, (LATENT_DIM,), np.float32)
    actions = spaces.Box(-1.0, 1.0, (LATENT_DIM,), np.float32)
    layers = [args.refine_width] * 2
    policy = RefinePolicy(space, actions, lambda _: 0.0, layers, vae=vae, delta_scale=args.delta_scale)
    notes = RowAgentNotes("HandRefine-v0", LATENT_DIM, tuple(layers), args.delta_scale, 1, "prior", 0, True)
    refiner = RowAgent(policy.actor, notes)
    refiner.save(folder / REFINER)
    (folder / CONFIG).touch()
    save_hashed_json(folder / REPORT, {"pictures": {"photographs": 0, "drawn": 24}})
    stage = {"reporting_judge": {key: {"share": 0.5, "low": 0.4, "high": 0.6} for key in ("correct", "anatomical")}}
    held_out = {"latents": 300, "rounds": 2, "before": stage, "after": stage}
    refined = {"settings": {"refine_below": "2.5"}, "vae_sha256": "", "held_out": held_out}
    save_hashed_json(folder / REFINE_REPORT, refined)
    settings = {"size": 128, "latent_dim": LATENT_DIM, "width": args.width, "batch_size": 160, "agent": "none"}
    settings |= {"seed": 0, "data": "synthetic", "reencode_passes": 1, "split_seed": 0, "latent_samples": 0}
    return Run(settings, vae, {"prior": prior}, NoAction(actions), None, refiner), folder


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.commands.package.command.load_run", lambda folder: run[0])
        return package(PackageArgs(run[1], tmp_path_factory.mktemp("package") / "set"))


def test_a_set_with_a_wider_prior_ships_in_50_megabytes_with_all_that_comes_with_it(packed, tmp_path):
    """A wheel is a zip; beside the weights it holds 0.6 MB of code and headers."""
    others = [path for folder in ("hand_env/anatomy", "agents/weights/schedule") for path in (ROOT / folder).iterdir()]
    files = [path for path in (*packed.iterdir(), *others) if path.suffix == ".safetensors"]
    assert len(files) == 9
    with zipfile.ZipFile(tmp_path / "wheel", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in files:
            wheel.write(path, f"{path.parent.name}/{path.name}")
    sizes = {path.name: path.stat().st_size for path in files}
    assert (tmp_path / "wheel").stat().st_size + 600_000 <= 50_000_000, sizes
    assert sum(sizes[path.name] for path in packed.glob("*.safetensors")) <= 35_000_000, sizes
    assert max(sizes.values()) < 16 * 2**20, sizes


def test_large_weights_of_encoder_and_decoder_are_int8_and_all_others_float16(packed):
    for part in ("encoder", "decoder", "prior", "refiner"):
        tensors = load_file(packed / f"{part}.safetensors")
        plain = {n: t for n, t in tensors.items() if t.dtype != torch.int8 and not n.endswith(SCALES)}
        own = ("mean", "scale", "temperature", "final_denoise")  # of the prior, each a few numbers
        assert {tensor.dtype for name, tensor in plain.items() if name not in own} == {torch.float16}
        assert any(tensor.dtype == torch.int8 for tensor in tensors.values()) == (part in HALVES)
        if part in HALVES:
            assert max(tensor.numel() for tensor in plain.values()) < LARGE


def test_it_is_read_as_the_run_is_within_half_a_step_of_each_row(run, packed):
    read = read_package(packed)
    whole = run[0].vae.state_dict()
    assert read.vae.state_dict().keys() == whole.keys()
    for name, tensor in read.vae.state_dict().items():
        half = "encoder" if name.startswith("encoder.") else "decoder"
        if half not in HALVES or tensor.ndim < 2 or tensor.numel() < LARGE:
            assert torch.equal(tensor, whole[name])
            continue
        rows = whole[name].flatten(1)
        off = (tensor.flatten(1) - rows).abs()
        assert (off <= rows.abs().amax(1, keepdim=True) / 254 * 1.0001).all(), name
        assert off.any()
    for name, tensor in read.refiner.actor.state_dict().items():
        assert torch.equal(tensor, RowAgent.load(run[1] / REFINER, run[0].vae).actor.state_dict()[name])
    assert (packed / CLASSIFIER).read_bytes() == (run[1] / CLASSIFIER).read_bytes()
    assert (packed / CLASSIFIER).stat().st_size < 1_000_000
    assert list(read.samplers) == ["rejection", "prior", "normal"]
    prior, back = (FlowPrior.load(folder / PRIOR) for folder in (run[1], packed))
    assert torch.equal(back.mean, prior.mean)
    torch.testing.assert_close(back.sample(4, seed=1), prior.sample(4, seed=1), rtol=0.0, atol=0.02)


def test_a_scale_that_does_not_fit_is_one_sentence_and_so_is_another_file(packed, tmp_path):
    copy = tmp_path / "set"
    copy.mkdir()
    for path in packed.iterdir():
        (copy / path.name).symlink_to(path)
    file = "encoder.safetensors"
    tensors = load_file(packed / file)
    tensors["encoder.head.weight" + SCALES] = torch.ones(3)
    (copy / file).unlink()
    save_tensors(copy / file, tensors)
    with pytest.raises(ValueError, match=r"^The weights in '.*set' are damaged: encoder.safetensors is not the"):
        read_package(copy)
    manifest = json.loads((packed / MANIFEST).read_text(encoding="utf-8"))
    manifest["sha256"][file] = sha256(copy / file)
    (copy / MANIFEST).unlink()
    (copy / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^The weights in .*: the scales of 'encoder.head.weight' must be float32"):
        read_package(copy)


def test_a_prior_that_holds_nan_is_not_packed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.commands.package.command.load_run", lambda folder: run[0])
    for path in run[1].iterdir():
        (tmp_path / path.name).symlink_to(path)
    tensors = {**load_weights(run[1] / PRIOR), "velocity.first.bias": torch.full((WIDTH,), float("nan"))}
    (tmp_path / PRIOR).unlink()
    save_tensors(tmp_path / PRIOR, tensors)
    with pytest.raises(ValueError, match=r"is damaged: it holds numbers that are not finite, in 'velocity.first.bias'"):
        package(PackageArgs(tmp_path, tmp_path / "out"))


def test_a_refiner_that_was_not_measured_to_the_end_is_not_packed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.commands.package.command.load_run", lambda folder: run[0])
    for name in (CONFIG, REFINER):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"holds refiner.safetensors without refine.json: it was not measured to the"):
        package(PackageArgs(tmp_path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_without_the_settings_of_the_recipe_is_packed_with_what_it_does(run, tmp_path, monkeypatch):
    left = {name: value for name, value in run[0].settings.items() if name not in ("reencode_passes", "split_seed")}
    monkeypatch.setattr(
        "agents.commands.package.command.load_run", lambda folder: replace(run[0], settings={**left, "data": "hands"})
    )
    package(PackageArgs(run[1], tmp_path / "set"))
    settings = json.loads((tmp_path / "set" / MANIFEST).read_text(encoding="utf-8"))["settings"]
    assert (settings["reencode_passes"], settings["split_seed"], settings["data"]) == (0, left["seed"], "11k-hands")
