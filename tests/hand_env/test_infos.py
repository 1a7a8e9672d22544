"""`reset` gives the info keys of `step`, with the same types: Minari, and others that store infos, stop otherwise."""

from typing import Any

import numpy as np
import pytest

from hand_env import HandLatentVectorEnv

MODES = ["NextStep", "SameStep", "Disabled"]
LATENT_SETTINGS: dict[str, dict[str, Any]] = {
    "loss_change": {},
    "one epoch": {"epochs_per_episode": 1},
    "counterfactual": {"reward": "counterfactual"},
    "anatomy": {"reward": "anatomy", "judge": "brightness"},
    "judge alone": {"judge": "brightness"},
    "validation": {"reward": "validation_loss_change", "validation_images": "few"},
    "drawn_change": {"reward": "drawn_change", "judge": "brightness", "n_drawn": 2},
    "all": {"reward": "own", "judge": "brightness", "n_drawn": 2, "validation_images": "few"},
}


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def pays_all(visit):
    return visit.loss_without - visit.loss + visit.anatomy_change - visit.drawn_change


pays_all.needs_drawn = pays_all.needs_without_shift = True  # type: ignore[attr-defined]  # a function may have attributes


def latent_settings(name, images):
    settings = LATENT_SETTINGS[name]
    replaced = {"brightness": brightness, "own": pays_all, "few": images[:3]}
    return {key: replaced.get(str(value), value) for key, value in settings.items()}


def kinds(info):
    """The keys of an info with the type, dtype and shape of each value; its values are finite."""
    found = {}
    for name, value in info.items():
        assert np.isfinite(np.asarray(value, float)).all(), (name, value)
        found[name] = (type(value), np.asarray(value).dtype, np.shape(value))
    return found


def without_final(infos):
    return {name: value for name, value in infos.items() if "final" not in name}


def diverge(training):
    next(training.trainer.vae.decoder.parameters()).data.fill_(float("nan"))


@pytest.mark.parametrize("name", LATENT_SETTINGS)
def test_reset_steps_and_divergence_of_handlatent_give_the_same_info_keys(make_env, quick_vae, tiny_images, name):
    env = make_env(vae=quick_vae, **latent_settings(name, tiny_images))
    first = kinds(env.reset(seed=0)[1])
    zeros = np.zeros(env.action_space.shape, np.float32)
    assert [kinds(env.step(zeros)[4]) for _ in range(5)] == [first] * 5
    assert kinds(env.reset(options={"state": env.state_dict()})[1]) == first
    env.reset()
    diverge(env)
    _, _, terminated, _, info = env.step(zeros)
    assert terminated
    assert kinds(info) == first


@pytest.mark.parametrize("reward", ["drawn_change", "loss_change", "counterfactual", "anatomy"])
@pytest.mark.parametrize("validated", [False, True])
def test_reset_steps_and_divergence_of_handschedule_give_the_same_info_keys(
    make_schedule, tiny_images, reward, validated
):
    env = make_schedule(reward=reward, validation_images=tiny_images[:3] if validated else None)
    first = kinds(env.reset(seed=0)[1])
    assert kinds(env.step(np.zeros(3, np.float32))[4]) == first
    assert kinds(env.reset(options={"state": env.state_dict()})[1]) == first
    diverge(env.env)
    _, _, terminated, _, info = env.step(np.zeros(3, np.float32))
    assert terminated
    assert kinds(info) == first


def test_reset_and_steps_of_handrefine_give_the_same_info_keys(make_refine):
    env = make_refine(steps_per_episode=2)
    first = env.reset(seed=0)[1]
    assert first["score_after"] == first["score_before"]
    for _ in range(2):
        assert kinds(env.step(np.ones(6, np.float32))[4]) == kinds(first)
    assert kinds(env.reset(options={"state": env.state_dict()})[1]) == kinds(first)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", ["latent", "refine", "schedule"])
def test_vector_forms_give_the_same_info_keys_in_reset_and_in_each_step(
    make_refine_rows, make_schedule_rows, quick_vae, tiny_images, form, mode
):
    def make_short_schedule_rows(**settings):
        return make_schedule_rows(2, epochs_per_episode=2, epochs_per_step=1, **settings)

    def make_latent_rows(**settings):
        return HandLatentVectorEnv(4, images=tiny_images, vae=quick_vae, epochs_per_episode=1, **settings)

    make = {"latent": make_latent_rows, "refine": make_refine_rows, "schedule": make_short_schedule_rows}[form]
    env = make(autoreset_mode=mode)
    first_infos = env.reset(seed=0)[1]
    first = kinds(first_infos)
    zeros, ended = np.zeros(env.action_space.shape, np.float32), np.zeros(1, bool)
    while not ended.any():
        _, _, terminations, truncations, infos = env.step(zeros)
        final, ended = infos.pop("final_info", first_infos), terminations | truncations
        assert kinds(final) == kinds(without_final(infos)) == first
    if mode == "Disabled":
        assert kinds(env.reset(options={"reset_mask": ended})[1]) == first
    assert kinds(without_final(env.step(zeros)[4])) == first  # in NextStep mode, of a reset
