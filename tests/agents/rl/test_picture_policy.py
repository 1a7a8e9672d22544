"""The policy that looks at pictures: what it sees, what learns, and what stays as it is."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.torch_layers import FlattenExtractor

from agents import FastSAC, RefinePolicy, make_sac
from agents.rl import picture_policy as refine_policy
from agents.rl.picture_policy import (
    SEEN,
    OneStepReplay,
    PictureCritic,
    PictureExtractor,
    PictureNetwork,
    Sight,
    shifted,
    show_shifted,
)
from agents.rl.sac import REFINE_PICTURE_SETTINGS, SETTINGS
from hand_env.refinement import CHUNK
from vae import VAE, VAEConfig, build_vae

D = 6
SMALL = {"learning_starts": 4, "batch_size": 8, "policy_kwargs": {"net_arch": [16]}}


class Loud(torch.nn.Module):
    """A user's decoder, of a size of its own, whose pictures leave [0, 1]."""

    def __init__(self, size):
        super().__init__()
        self.layer = torch.nn.Linear(D, 3 * size**2)
        self.size = size

    def forward(self, latents):
        return 10 * self.layer(latents).unflatten(1, (3, self.size, self.size))


def frozen(size):
    return build_vae(VAEConfig(size, D), seed=1).eval().requires_grad_(False)


def loud(size):
    return VAE(torch.nn.Identity(), Loud(size), size, D).requires_grad_(False)


def latents(n=3):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[1, 3])
def model(make_refine_rows, request):
    return make_sac(
        make_refine_rows(steps_per_episode=request.param, delta_scale=0.5, autoreset_mode="SameStep"),
        seed=0,
        policy=RefinePolicy,
        **SMALL,
    )


def batch(model, n=5):
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(n, *model.observation_space.shape, generator=generator)
    return observations, torch.rand(n, D, generator=generator) * 2 - 1


@pytest.mark.parametrize(
    ("vae", "side"),
    [(frozen(32), 32), (frozen(64), 64), (frozen(128), 64), (loud(8), 8), (loud(96), 48), (loud(100), 50)],
    ids=lambda value: str(getattr(value, "size", value)),
)
def test_pictures_of_any_size_are_looked_at(vae, side):
    pictures = Sight(vae).pictures(latents())
    assert pictures.shape == (3, 3, side, side)
    assert side <= SEEN
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert PictureNetwork(vae.size)(pictures).shape == (3, 256)


def test_pictures_are_moved_by_whole_pixels_and_nothing_else():
    ramp = torch.arange(32.0)
    pictures = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)]).expand(500, 2, 32, 32)
    moved = shifted(pictures, torch.Generator().manual_seed(0))
    across, down = (moved - pictures)[:, :, 8:24, 8:24].unbind(1)  # far from the border, all pixels moved alike
    for moves in (across, down):
        assert torch.equal(moves.amin((1, 2)), moves.amax((1, 2)))
        assert sorted(set(moves[:, 0, 0].tolist())) == [-2, -1, 0, 1, 2]
    assert not torch.equal(across, down)
    assert moved.min() == 0
    assert moved.max() == 31


def test_what_is_looked_at_is_what_the_judge_gets_but_smaller():
    vae = loud(128)
    judged = vae.decode(latents()).clamp(0, 1)
    assert torch.allclose(Sight(vae).pictures(latents()), torch.nn.functional.avg_pool2d(judged, 2))


def test_what_it_is_shown_is_not_decoded_again(model, monkeypatch):
    observations, many = batch(model, 150)[0].numpy(), CHUNK["cpu"] + 40
    seen = observations[:, :D]
    expected = model.predict(observations, deterministic=True)[0]
    sizes, decode = [], VAE.decode

    def noted(vae, latents):
        sizes.append(len(latents))
        return decode(vae, latents)

    pictures = model.policy.sight.vae.decode(torch.from_numpy(seen)).detach().clamp(0, 1)
    monkeypatch.setattr(VAE, "decode", noted)
    model.policy.show(torch.from_numpy(seen), pictures)
    shown = model.predict(observations[:many], deterministic=True)[0]
    assert not sizes
    assert np.allclose(shown, expected[:many], atol=1e-5)
    others = model.predict(observations[many:] + 1, deterministic=True)[0]  # these have not been shown
    assert sum(sizes) == 150 - many
    assert not np.allclose(others, expected[many:], atol=1e-3)
    again = model.predict(observations[:many], deterministic=True)[0]  # these have been, for one look
    assert np.allclose(again, expected[:many], atol=1e-5)
    assert sum(sizes) == 150


def test_a_picture_that_is_shown_is_what_it_sees(model):
    seen, sight = batch(model)[0][:, :D], model.policy.sight
    white = torch.ones(5, 3, sight.vae.size, sight.vae.size)
    model.policy.show(seen, white)
    with torch.no_grad():
        assert (sight.pictures(seen.flip(0)) == 1).all()
        assert not (sight.pictures(seen) == 1).all()
    model.policy.show(seen, white)
    assert not (sight.pictures(seen.clone().requires_grad_()) == 1).all()  # a gradient needs the decoder


def test_many_latents_are_decoded_a_few_at_a_time_and_the_action_does_not_depend_on_it(model, monkeypatch):
    seen = batch(model, 150)[0].numpy()
    one_by_one = np.concatenate([model.predict(row[None], deterministic=True)[0] for row in seen])
    sizes, decode = [], VAE.decode

    def noted(vae, latents):
        sizes.append(len(latents))
        return decode(vae, latents)

    monkeypatch.setattr(VAE, "decode", noted)
    together = model.predict(seen, deterministic=True)[0]
    assert np.allclose(together, one_by_one, atol=1e-5)
    assert sizes == [CHUNK["cpu"], CHUNK["cpu"], 150 - 2 * CHUNK["cpu"]]


def test_the_actor_sees_the_observation_and_the_picture_of_its_latent(model):
    seen = batch(model)[0]
    extractor = model.actor.features_extractor
    assert isinstance(extractor, PictureExtractor)
    features = extractor(seen)
    assert features.shape == (5, seen.shape[1] + 256)
    assert torch.equal(features[:, : seen.shape[1]], seen)
    assert torch.equal(features[:, seen.shape[1] :], extractor.look(extractor.sight.pictures(seen[:, :D])))


def test_an_action_gets_a_gradient_from_the_critics_and_the_vae_none(model):
    seen, actions = batch(model)
    actions.requires_grad_()
    values = model.critic(seen, actions)
    assert [tuple(value.shape) for value in values] == [(5, 1)] * 2
    sum(values).sum().backward()
    assert (actions.grad.abs().sum(1) > 0).all()
    assert all(parameter.grad is None for parameter in model.critic.parameters())  # SAC would discard it
    assert all(parameter.grad is None for parameter in model.env.venv.env.unwrapped.env.vae.parameters())
    assert torch.equal(model.critic.q1_forward(seen, actions), values[0])


def test_the_critics_learn_from_stored_actions_all_that_they_value_the_agent_s_by(model):
    seen, actions = batch(model)
    of_stored, of_new = model.critic(seen, actions), model.critic(seen, actions.clone().requires_grad_())
    assert all(torch.allclose(*pair, atol=1e-6) for pair in zip(of_stored, of_new, strict=True))
    sum(of_stored).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.critic.parameters())


def test_a_critic_s_value_is_of_the_pictures_before_and_after(model):
    seen, actions = batch(model)
    vae, network = model.actor.features_extractor.sight.vae, model.critic.qf0
    rest = seen[:, D:]
    after, before = (
        network["value"](torch.cat([network["look"](Sight(vae).pictures(z)), rest], 1))
        for z in (seen[:, :D] + 0.5 * actions, seen[:, :D])
    )
    assert torch.allclose(model.critic(seen, actions)[0], after[:, :1] - before[:, 1:], atol=1e-6)


def test_steps_left_matter_where_an_episode_has_several(model):
    seen, actions = batch(model)
    other = seen.clone()
    other[:, D:] += 1
    changed = not torch.equal(model.critic(seen, actions)[0], model.critic(other, actions)[0])
    assert changed == (model.observation_space.shape == (D + 1,))


def test_learning_changes_all_networks_but_the_vae_and_the_state_dict_is_free_of_it(model):
    vae = model.actor.features_extractor.sight.vae
    assert vae is model.env.venv.env.unwrapped.env.vae  # not a copy
    before = [{name: tensor.clone() for name, tensor in part.state_dict().items()} for part in (model.policy, vae)]
    model.learn(40)
    state = model.policy.state_dict()
    assert not any("vae" in name or "decoder" in name or "encoder" in name for name in state)
    assert len(list(model.policy.parameters())) == len(state)
    assert not any(torch.equal(before[0][name], state[name]) for name in state)
    assert all(torch.equal(before[1][name], tensor) for name, tensor in vae.state_dict().items())


def test_what_follows_a_step_is_looked_at_where_another_step_follows(model):
    several = model.observation_space.shape == (D + 1,)
    assert model.critic_target.asked == several
    assert type(model.replay_buffer) is (ReplayBuffer if several else OneStepReplay)
    assert model.critic.asked
    seen, actions = batch(model)
    assert any(value.any() for value in model.critic_target(seen, actions)) == several


def test_of_episodes_of_one_step_nothing_that_follows_is_decoded_and_nothing_is_learned_otherwise(
    make_refine_rows, monkeypatch
):
    def learned(**settings):
        rows = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
        model = make_sac(rows, seed=0, policy=RefinePolicy, **SMALL, **settings)
        critic = model.critic_target
        assert isinstance(critic, PictureCritic)
        asked = critic.asked
        critic.asked |= "replay_buffer_class" in settings
        decoded.clear()
        model.learn(40)
        return asked, sum(decoded), model

    decoded, pictures = [], refine_policy._pictures

    def counted(vae, latents):
        decoded.append(len(latents))
        return pictures(vae, latents)

    monkeypatch.setattr(refine_policy, "_pictures", counted)
    monkeypatch.setattr(refine_policy, "shifted", lambda pictures: pictures)
    _, more, other = learned(algorithm=SAC, replay_buffer_class=ReplayBuffer)
    for algorithm in (SAC, FastSAC):
        asked, fewer, model = learned(algorithm=algorithm)
        assert not asked
        assert more - fewer == 3 * model.batch_size * model._n_updates > 0
        state = model.policy.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in other.policy.state_dict().items())


def test_updates_see_shifted_pictures_and_stock_sac_sees_the_same(make_refine_rows, monkeypatch):
    def learned(algorithm):
        model = make_sac(
            make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep"),
            seed=0,
            policy=RefinePolicy,
            algorithm=algorithm,
            **SMALL,
        )
        model.learn(12)
        return model.policy.state_dict()

    ours, stock = learned(FastSAC), learned(SAC)
    torch.testing.assert_close(ours, stock, rtol=0, atol=0)
    monkeypatch.setattr(refine_policy, "shifted", lambda pictures: pictures)
    unshifted = learned(FastSAC)
    assert any(not torch.equal(ours[name], unshifted[name]) for name in ours)


def test_remembered_pictures_are_those_of_their_own_tensors_alone():
    sight, seen, other = Sight(frozen(32)), latents(), latents() + 1
    actions = torch.zeros(3, D)
    pictures = torch.zeros(3, 3, 32, 32)
    sight.remember(seen, pictures, actions, pictures + 1)
    assert torch.equal(sight.of(seen), pictures)
    assert torch.equal(sight.after(seen, actions, 0.5), pictures + 1)
    assert torch.equal(sight.after(other, actions, 0.5), sight.pictures(other))
    assert torch.equal(sight.after(seen, actions.clone(), 0.5), sight.pictures(seen))


@pytest.mark.parametrize("algorithm", [SAC, FastSAC])
def test_a_loaded_model_shifts_pictures_once_it_is_told_to(make_refine_rows, tmp_path, algorithm):
    env = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
    model = make_sac(env, seed=0, policy=RefinePolicy, algorithm=algorithm, **SMALL)
    assert model.replay_buffer.sight is model.policy.sight
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", model.env)
    assert (loaded.replay_buffer.sight is loaded.policy.sight) == (algorithm is FastSAC)
    show_shifted(loaded.policy, loaded.replay_buffer)
    assert loaded.replay_buffer.sight is loaded.policy.sight


def test_a_policy_that_was_saved_acts_the_same(model, tmp_path):
    model.learn(40)
    model.policy.save(tmp_path / "policy")
    seen, actions = batch(model)
    loaded = RefinePolicy.load(tmp_path / "policy", device="cpu")
    assert np.array_equal(*(each.predict(seen.numpy(), deterministic=True)[0] for each in (loaded, model)))
    assert torch.equal(loaded.critic(seen, actions)[0], model.critic(seen, actions)[0])


def test_make_sac_takes_vae_and_kappa_from_the_single_form_too(make_refine):
    env = make_refine(delta_scale=0.25)
    model = make_sac(gym.wrappers.TimeLimit(env, 10), 0, policy=RefinePolicy, **SMALL)
    assert model.policy.delta_scale == model.critic.delta_scale == model.critic_target.delta_scale == 0.25
    assert model.actor.features_extractor.sight.vae is env.vae
    assert (model.train_freq.frequency, model.gradient_steps) == (SETTINGS["train_freq"], SETTINGS["gradient_steps"])
    assert model.actor.net_arch == [16]
    model.learn(8)


@pytest.mark.parametrize(("rows", "updates"), [(512, 24), (64, 3), (1, 1)])
def test_make_sac_fits_the_vector_form(make_refine_rows, rows, updates):
    env = make_refine_rows(rows, autoreset_mode="SameStep")
    model = make_sac(env, 0, policy=RefinePolicy, buffer_size=rows)
    assert (model.learning_rate, model.batch_size) == (5e-4, 256)
    assert (model.learning_rate, model.batch_size) == tuple(
        REFINE_PICTURE_SETTINGS[name] for name in ("learning_rate", "batch_size")
    )
    assert (model.train_freq.frequency, model.gradient_steps, model.gamma) == (1, updates, 0.0)


def test_another_environment_or_a_vae_that_learns_is_refused(make_env, make_refine):
    with pytest.raises(TypeError, match=r"RefinePolicy needs HandRefine-v0, .*, got HandLatentEnv\. Use 'MlpPolicy'"):
        make_sac(make_env(), 0, policy=RefinePolicy)
    seen = gym.wrappers.TransformObservation(make_refine(), lambda latents: 2 * latents, None)
    with pytest.raises(
        TypeError, match=r"decodes observations, .*, got TransformObservation around the environment\. L"
    ):
        make_sac(gym.wrappers.TimeLimit(seen, 10), 0, policy=RefinePolicy)
    kwargs = {"vae": build_vae(VAEConfig(32, D), seed=1)}
    with pytest.raises(ValueError, match=r"vae must be frozen, .* Take the environment's own: env\.unwrapped\.vae\."):
        make_sac(make_refine(), 0, policy=RefinePolicy, policy_kwargs=kwargs)


def test_a_vae_alone_on_another_device_is_refused(make_refine):
    away = frozen(32)
    away.log_variance = torch.zeros((), device="meta")
    with pytest.raises(
        ValueError, match=r"vae lies on 'meta'; a file .* Give Sight\(vae\), from agents\.rl\.picture_pol"
    ):
        make_sac(make_refine(), 0, policy=RefinePolicy, policy_kwargs={"vae": away})


@pytest.mark.parametrize(
    "given",
    [
        {"features_extractor_class": FlattenExtractor},
        {"features_extractor_kwargs": {"width": 3}},
        {"share_features_extractor": True},
    ],
    ids=lambda given: next(iter(given)),
)
def test_another_features_extractor_is_refused(make_refine, given):
    with pytest.raises(TypeError, match=r"features extractor of its own, .*Leave them out\."):
        make_sac(make_refine(), 0, policy=RefinePolicy, policy_kwargs=given)
    make_sac(make_refine(), 0, policy=RefinePolicy, policy_kwargs={"share_features_extractor": False})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no second device")
def test_the_vae_may_lie_on_another_device():
    vae, seen = frozen(64).cuda(), latents().requires_grad_()
    pictures = Sight(vae).pictures(seen)
    pictures.sum().backward()
    assert pictures.device.type == seen.grad.device.type == "cpu"
    assert torch.allclose(pictures, Sight(frozen(64)).pictures(latents()), atol=0.02)  # bfloat16
    with torch.no_grad():
        assert torch.allclose(Sight(vae).pictures(latents()), pictures, atol=0.02)


def test_a_sight_from_a_device_that_is_not_here_is_read_on_the_cpu(monkeypatch):
    """A VAE of which one tensor lies elsewhere stands for one on a GPU: pickle must not meet that tensor."""
    vae = build_vae(VAEConfig(32, 4), seed=1)
    away = copy.deepcopy(vae)
    away.log_variance = torch.zeros((), device="meta")
    monkeypatch.setattr(VAE, "cpu", lambda self: vae)
    state = Sight(away).__getstate__()
    assert state == {"vae": vae, "device": "meta", "fused": False}
    read = pickle.loads(pickle.dumps(Sight(away)))
    assert read.vae.log_variance.device.type == "cpu"
    assert all(torch.equal(a, b) for a, b in zip(read.vae.parameters(), vae.parameters(), strict=True))
    assert copy.deepcopy(Sight(vae)).vae.log_variance.device.type == "cpu"
