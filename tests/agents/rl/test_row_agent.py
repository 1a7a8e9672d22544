import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecNormalize

from agents import GymnasiumVecEnv, RefinePolicy, RowAgent, RowPolicy, make_sac
from agents.rl.row_agent import REFINE_BELOW, RETRY_SEED, ROUNDS, RowAgentNotes
from hand_env import refine
from vae import StandardNormal, VAEConfig, build_vae

D = 6
NOTES = {"env_id": "HandRefine-v0", "delta_scale": 0.5, "sampler": "normal", "seed": 3}


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def make_vae(size=32, latent_dim=D):
    return build_vae(VAEConfig(size, latent_dim), seed=1).eval()


def trained(steps, policy="MlpPolicy"):
    """A SAC that has learned a little, on `steps` corrections an episode."""
    settings = {"judge": brightness, "delta_scale": 0.5, "steps_per_episode": steps, "autoreset_mode": "SameStep"}
    env = gym.make_vec("HandRefine-v0", num_envs=4, vae=make_vae(), **settings)
    model = make_sac(env, 0, policy=policy, learning_starts=4, batch_size=8, policy_kwargs={"net_arch": [32, 16]})
    return model.learn(40)


@pytest.fixture(
    scope="module",
    params=[(1, "MlpPolicy"), (3, "MlpPolicy"), (1, RefinePolicy), (3, RefinePolicy)],
    ids=["latents-1", "latents-3", "pictures-1", "pictures-3"],
)
def model_and_agent(request):
    steps, policy = request.param
    model = trained(steps, policy)
    return model, RowAgent.of(model, steps_per_episode=steps, **NOTES)


@pytest.fixture
def saved(model_and_agent, tmp_path):
    path = tmp_path / "refiner.safetensors"
    model_and_agent[1].save(path)
    return path


def observations(model, n=50):
    return np.random.default_rng(0).normal(size=(n, *model.observation_space.shape)).astype(np.float32)


def test_an_agent_acts_as_the_sac_that_it_was_copied_from(model_and_agent):
    model, agent = model_and_agent
    seen = observations(model)
    assert np.array_equal(agent.predict(seen)[0], model.predict(seen, deterministic=True)[0])
    one, state = agent.predict(seen[0], "state")
    assert one.shape == (D,)
    assert state == "state"
    assert not np.array_equal(*(agent.predict(seen, deterministic=False)[0] for _ in range(2)))


@pytest.mark.parametrize("policy", ["MlpPolicy", RefinePolicy])
def test_an_agent_that_was_copied_does_not_change_when_the_sac_learns_on(policy):
    model = trained(1, policy)
    agent, seen = RowAgent.of(model, steps_per_episode=1, **NOTES), observations(model)
    before = agent.predict(seen)[0]
    model.learn(20)
    assert np.array_equal(agent.predict(seen)[0], before)
    assert not np.array_equal(model.predict(seen, deterministic=True)[0], before)


def test_an_agent_survives_a_file_but_for_the_rounding_of_its_weights(model_and_agent, saved):
    model, agent = model_and_agent
    loaded, seen = RowAgent.load(saved, make_vae()), observations(model)
    assert loaded.notes == agent.notes
    assert loaded.notes.net_arch == (32, 16)
    assert loaded.notes.sees_pictures == isinstance(model.policy, RefinePolicy)
    assert {tensor.dtype for tensor in load_file(saved).values()} == {torch.float16}
    assert np.abs(loaded.predict(seen)[0] - agent.predict(seen)[0]).max() < 1e-3
    loaded.save(saved)
    assert np.array_equal(RowAgent.load(saved, make_vae()).predict(seen)[0], loaded.predict(seen)[0])  # rounded once


def test_loading_unpickles_nothing_and_touches_no_random_state(saved, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load", "cloudpickle.loads"):
        monkeypatch.setattr(name, refuse)
    vae, before = make_vae(), torch.get_rng_state()
    RowAgent.load(saved, vae)
    assert torch.equal(torch.get_rng_state(), before)


def test_refine_takes_kappa_and_steps_from_the_notes(model_and_agent):
    _, agent = model_and_agent
    vae, latents = make_vae(), StandardNormal(D).sample(20, seed=5)
    for rounds, refine_below in ((1, 0.6), (ROUNDS, REFINE_BELOW)):
        how = {"delta_scale": 0.5, "steps": agent.notes.steps_per_episode, "rounds": rounds, "seed": RETRY_SEED}
        by_hand = refine(agent, latents, vae, brightness, refine_below=refine_below, **how)
        given = {} if rounds == ROUNDS else {"rounds": rounds, "refine_below": refine_below}
        assert torch.equal(agent.refine(latents, vae, brightness, **given).latents, by_hand.latents)


def test_an_agent_of_hand_latent_s_rows_is_kept_the_same_way(tiny_images, tmp_path):
    env = gym.make_vec("HandLatent-v0", num_envs=4, images=tiny_images, latent_dim=D, autoreset_mode="SameStep")
    model = make_sac(env, seed=0, policy_kwargs={"net_arch": [8]})
    RowAgent.of(model, steps_per_episode=1, **{**NOTES, "env_id": "HandLatent-v0"}).save(tmp_path / "agent")
    assert RowAgent.load(tmp_path / "agent").notes.env_id == "HandLatent-v0"


def test_a_sac_that_does_not_act_on_rows_is_refused(make_env):
    for policy in ("MlpPolicy", RowPolicy):
        model = make_sac(make_env(), seed=0, policy=policy)
        with pytest.raises(TypeError, match=r"needs SAC\('MlpPolicy', \.\.\.\) on rows, .* actions of shape \(4, 6\)"):
            RowAgent.of(model, steps_per_episode=1, **NOTES)


def test_a_sac_that_does_not_act_or_see_as_the_environment_says_is_refused():
    def model(**changed):
        settings = {"judge": brightness, "delta_scale": 0.5, "steps_per_episode": 1, "autoreset_mode": "SameStep"}
        env = GymnasiumVecEnv(gym.make_vec("HandRefine-v0", num_envs=4, vae=make_vae(), **settings))
        if "low" in changed:
            env.action_space = spaces.Box(changed["low"], changed["high"], (D,))
        return SAC("MlpPolicy", VecNormalize(env) if "low" not in changed else env, buffer_size=8)

    for low, high in ((-2.0, 1.0), (-1.0, 2.0), (0.0, 1.0)):
        with pytest.raises(TypeError, match=r"RowAgent\.of needs actions in \[-1, 1\], got Box\("):
            RowAgent.of(model(low=low, high=high), steps_per_episode=1, **NOTES)
    with pytest.raises(TypeError, match=r"got one with VecNormalize, .* Train without it\."):
        RowAgent.of(model(), steps_per_episode=1, **NOTES)
    RowAgent.of(model(low=-1.0, high=1.0), steps_per_episode=1, **NOTES)


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("sampler", 5, TypeError, "sampler must be text, such as 'prior', got 5"),
        ("sees_pictures", 1, TypeError, "sees_pictures must be true or false, got 1"),
        ("delta_scale", "0.5", TypeError, "delta_scale must be a finite number above 0, got '0.5'"),
        ("latent_dim", 6.0, TypeError, r"latent_dim must be an integer, got 6\.0"),
        ("env_id", 5, ValueError, "env_id must be one of .*, got 5"),
        ("seed", -1, ValueError, "seed must be at least 0, got -1"),
    ],
)
def test_notes_that_no_agent_can_have_are_refused(field, value, error, message):
    notes = {**NOTES, "latent_dim": D, "net_arch": (8,), "steps_per_episode": 1}
    RowAgentNotes(**notes)
    with pytest.raises(error, match=message):
        RowAgentNotes(**{**notes, field: value})


def test_a_missing_file_and_latents_of_another_length_are_one_sentence(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent' is missing\. Train an agent with: handlatent refine RUN"):
        RowAgent.load(tmp_path / "absent")
    with pytest.raises(ValueError, match="corrects latents of 6 dimensions, but the VAE's have 7"):
        RowAgent.load(saved, make_vae(latent_dim=7))


def test_a_file_that_is_no_agent_or_damaged_is_one_sentence(saved):
    whole = saved.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        saved.write_bytes(content)
        with pytest.raises(ValueError, match=r"must hold a row agent, but it is damaged .*: handlatent refine RUN"):
            RowAgent.load(saved, make_vae())


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (None, "its header has no 'row_agent'"),
        ("{", "Expecting property name"),
        ("[1]", "damaged or holds something else"),
        ({"net_arch": [32, 17]}, r"the shapes of latent_pi.2.bias, .* are not those that its notes .*require"),
        ({"net_arch": [10**9]}, "the shapes of"),
        ({"latent_dim": 7}, "the shapes of"),
        ({"latent_dim": "six"}, "latent_dim must be an integer, got 'six'"),
        ({"env_id": "CartPole-v1"}, "env_id must be one of 'HandRefine-v0', 'HandLatent-v0', got 'CartPole-v1'"),
        ({"sees_pictures": 1}, "sees_pictures must be true or false, got 1"),
        ({"delta_scale": 0}, "delta_scale must be a finite number above 0, got 0"),
    ],
)
def test_wrong_notes_are_one_sentence(saved, notes, message):
    with safe_open(saved, framework="pt") as file:
        header = file.metadata()
    if isinstance(notes, dict):
        notes = json.dumps({**json.loads(header["row_agent"]), **notes})
    save_file(load_file(saved), saved, None if notes is None else {"row_agent": notes})
    vae = make_vae(latent_dim=7 if 'latent_dim": 7' in str(notes) else D)
    with pytest.raises(ValueError, match=message):
        RowAgent.load(saved, vae)


def test_weights_that_are_not_finite_are_one_sentence(saved):
    with safe_open(saved, framework="pt") as file:
        header = {"row_agent": file.metadata()["row_agent"]}
    save_file({name: tensor * torch.nan for name, tensor in load_file(saved).items()}, saved, header)
    with pytest.raises(ValueError, match="it holds numbers that are not finite"):
        RowAgent.load(saved, make_vae())


def with_notes(saved, change):
    """Rewrite the notes of a file."""
    with safe_open(saved, framework="pt") as file:
        notes = json.loads(file.metadata()["row_agent"])
    save_file(load_file(saved), saved, {"row_agent": json.dumps(change(notes))})


def test_an_agent_that_sees_pictures_is_not_loaded_without_the_vae_that_decodes_them(tmp_path):
    path = tmp_path / "refiner.safetensors"
    RowAgent.of(trained(1, RefinePolicy), steps_per_episode=1, **NOTES).save(path)
    with pytest.raises(ValueError, match=r"' sees pictures, and needs the VAE that .*RowAgent\.load\(path, vae\)\.$"):
        RowAgent.load(path)
    with pytest.raises(
        ValueError, match=r"the shapes of .* are not those that its notes and the VAE's pictures require"
    ):
        RowAgent.load(path, make_vae(64))
    with_notes(path, lambda notes: {**notes, "sees_pictures": False})
    with pytest.raises(ValueError, match=r"the shapes of .* are not those that its notes require"):
        RowAgent.load(path)


def test_a_loaded_agent_looks_through_the_vae_that_it_was_given(tmp_path):
    path = tmp_path / "refiner.safetensors"
    model = trained(1, RefinePolicy)
    RowAgent.of(model, steps_per_episode=1, **NOTES).save(path)
    vae, other = make_vae(), build_vae(VAEConfig(32, D), seed=2)
    assert RowAgent.load(path, vae).actor.features_extractor.sight.vae is vae
    seen = observations(model)
    assert not np.array_equal(*(RowAgent.load(path, each).predict(seen)[0] for each in (vae, other)))
    assert not any("vae" in name or "decoder" in name for name in load_file(path))
    assert all(parameter.requires_grad for parameter in vae.parameters()), "what the caller gave was changed"


def test_a_file_of_before_agents_saw_pictures_is_read_without_a_vae(tmp_path):
    path = tmp_path / "refiner.safetensors"
    agent = RowAgent.of(trained(1), steps_per_episode=1, **NOTES)
    agent.save(path)
    with_notes(path, lambda notes: {name: value for name, value in notes.items() if name != "sees_pictures"})
    loaded = RowAgent.load(path)
    assert loaded.notes == agent.notes
    assert not loaded.notes.sees_pictures
