"""SAC for the environments: suitable settings, and a state that resumes exactly. The update is in `fast_sac`."""

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecMonitor
from stable_baselines3.sac.policies import SACPolicy

from agents.rl.device_replay import ARRAYS, DeviceReplay, replay_of
from agents.rl.fast_sac import FastSAC
from agents.rl.picture_policy import OneStepReplay, RefinePolicy, Sight, show_shifted
from agents.rl.vec_env import GymnasiumVecEnv
from hand_env import (
    HandLatentVectorEnv,
    HandRefineEnv,
    HandRefineVectorEnv,
    HandScheduleEnv,
    HandScheduleVectorEnv,
)
from vae.checks import integer

REPLAY_BYTES = 256 * 2**20  # a transition has 3 B D floats: a million, Stable-Baselines3's default, is 230 GB at B = 64
SETTINGS: dict[str, Any] = {
    "learning_starts": 100,
    "train_freq": 4,
    "gradient_steps": 1,
    "batch_size": 64,
}
ROW_SETTINGS: dict[str, Any] = {  # for the vector form, chosen by benchmarks/learning.py; docs/loss.md has the table
    "learning_starts": 100,
    "train_freq": 1,
    "gradient_steps": 4,
    "batch_size": 256,
    "target_entropy": 0.0,
    "ent_coef": "auto_0.01",
    "gamma": 0.0,
}
REFINE_ROW_SETTINGS: dict[str, Any] = {  # for HandRefine-v0's vector form; a trial had 256 rows and layers of 1,024
    "learning_starts": 100,
    "train_freq": 1,
    "batch_size": 1024,
}
REFINE_UPDATES_PER_SAMPLE = 48 / 256  # as in the trial: 48 updates per step of 256 rows
REFINE_PICTURE_SETTINGS: dict[str, Any] = {  # for RefinePolicy: fewer updates, smaller batches, higher rate
    **REFINE_ROW_SETTINGS,
    "learning_rate": 5e-4,
    "batch_size": 256,
}
REFINE_PICTURE_UPDATES_PER_SAMPLE = 3 / 64  # 24 updates per step of 512 rows
SCHEDULE_SETTINGS: dict[str, Any] = {
    "learning_starts": 0,  # `explore` fills the replay buffer
    "train_freq": 1,
    "gradient_steps": 64,  # a step of the environment takes seconds, an update milliseconds
    "batch_size": 256,
    "learning_rate": 1e-3,
    "gamma": 1.0,  # the rewards add up to the training's whole gain; an episode has few steps
    "ent_coef": "auto_0.1",
    "policy_kwargs": {"net_arch": [128, 128]},
    # the training's end is part of the task, and the agent sees it: nothing follows
    "replay_buffer_kwargs": {"handle_timeout_termination": False},
}
REFINE_ENT_COEF = "auto_0.005"
ENTROPY_BONUS = (
    0.1  # reward per step for full entropy at the start; unscaled, B D dimensions of entropy would hide the reward
)


def make_sac(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
    seed: int,
    device: str = "cpu",
    policy: str | type[SACPolicy] = "MlpPolicy",
    *,
    algorithm: type[SAC] = FastSAC,
    **settings: Any,
) -> SAC:
    """Build SAC with a replay buffer that fits in memory.

    It writes no log, and `learn` makes no other logger, unless `settings` hold `verbose` or `tensorboard_log`. Setting
    these on the model later changes nothing; call its `set_logger` instead.

    Args:
        env: An environment of this project, single or vector form. The vector form must reset in the same
            step, not in the next: `gym.make_vec("hand_env:HandLatent-v0", num_envs=B, autoreset_mode="SameStep")`.
        seed: >= 0; Stable-Baselines3 seeds the global random states of Python, NumPy and PyTorch with it.
        device: Device of the agent's networks.
        policy: SAC's policy. `RowPolicy` applies one network to each row of HandLatent's single form. `RefinePolicy`
            sees the pictures of HandRefine's latents, decoded by the environment's own VAE.
        algorithm: `FastSAC`, or Stable-Baselines3's `SAC`, whose updates take longer; on the CPU both give the same
            numbers.
        settings: Arguments of SAC that replace the defaults: `SETTINGS`, `ROW_SETTINGS` for the vector form, or
            `REFINE_ROW_SETTINGS` for HandRefine's vector form, or `SCHEDULE_SETTINGS` for HandSchedule. HandRefine
            gains from larger networks: `policy_kwargs={"net_arch": [1024, 1024]}`. Its gamma is 0 if an episode is one
            step. Its vector form makes 3 updates per step for each 16 rows (`REFINE_UPDATES_PER_SAMPLE`), at least 1.
            With `RefinePolicy`, the defaults are `REFINE_PICTURE_SETTINGS` and 3 updates for each 64 rows.

    Returns:
        SAC with twin critics and automatic entropy, untrained.

    Raises:
        TypeError: If it is no environment, or a vector form that is not one of this project's. Also if the policy is
            `RefinePolicy` and this is not HandRefine-v0, or a wrapper changes its observations.
    """
    _check_env(env)
    looks = isinstance(policy, type) and issubclass(policy, RefinePolicy)
    if looks:
        settings["policy_kwargs"] = {**_seen_through(env), **(settings.get("policy_kwargs") or {})}
    wrapped = VecMonitor(GymnasiumVecEnv(env)) if isinstance(env, gym.vector.VectorEnv) else env
    shape = wrapped.action_space.shape  # a row's, in the vector form
    assert shape is not None, "a Box has a shape"
    dimensions = int(np.prod(shape))
    fitted = {
        "buffer_size": min(max(REPLAY_BYTES // (3 * 4 * dimensions), 100), 1_000_000),
        "ent_coef": f"auto_{ENTROPY_BONUS / dimensions}",
        **_fitting(env, looks),
        **settings,
    }
    model = algorithm(policy, wrapped, seed=integer("seed", seed, 0), device=device, **fitted)
    show_shifted(model.policy, model.replay_buffer)
    if not model.verbose and model.tensorboard_log is None:
        model.set_logger(Logger(None, []))  # its own, which writes nothing either, makes a temporary folder
    return model


def sac_state(model: SAC) -> dict[str, Any]:
    """Copy all that SAC needs to resume exactly: networks, optimisers, replay buffer, random states.

    Args:
        model: SAC between two rollouts, as in a callback's `_on_rollout_start`.

    Returns:
        Nested dicts of tensors, arrays and numbers, as `vae.checkpoint` saves them.

    Raises:
        ValueError: If the replay buffer is of a kind that is not copied.
    """
    buffer = _copyable(model)
    return {
        "parameters": copy.deepcopy(model.get_parameters()),
        "log_ent_coef": None if model.log_ent_coef is None else model.log_ent_coef.detach().clone(),
        "buffer": {name: _filled(buffer, name, buffer.size()).cpu().numpy().copy() for name in ARRAYS},
        "buffer_position": [buffer.pos, buffer.full],
        "buffer_rows": buffer.buffer_size,
        "counts": [model.num_timesteps, model._n_updates, model._episode_num],
        "random": {
            "torch": torch.get_rng_state(),
            "cuda": [torch.cuda.get_rng_state(model.device)] if model.device.type == "cuda" else [],
            "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 - the state that Stable-Baselines3 draws from
            "actions": model.action_space.np_random.bit_generator.state,
        },
    }


def reset_sac(model: SAC) -> None:
    """Reset the environment as the first `learn` does, so that a `learn(..., reset_num_timesteps=False)` may follow."""
    assert model.env is not None, "make_sac gave it one"
    model._last_obs = model.env.reset()  # type: ignore[assignment]  # SB3 says the same of its own


def restore_sac(model: SAC, state: dict[str, Any], env_state: dict[str, Any]) -> None:
    """Restore SAC and its environment from `sac_state`; `learn(..., reset_num_timesteps=False)` then resumes.

    Args:
        model: A new model with the same settings.
        state: What `sac_state` returned.
        env_state: What the environment's `state_dict` returned at the same moment.
    """
    assert model.env is not None, "make_sac gave it one"
    model.env.set_options({"state": env_state})
    reset_sac(model)
    model._last_episode_starts = np.zeros((model.env.num_envs,), dtype=bool)
    load_learner(model, state)


def load_learner(model: SAC, state: dict[str, Any]) -> None:
    """Restore SAC from `sac_state`, and leave its environment as it is.

    Call it after the environment's reset, which may draw from the random states that are restored here.

    Args:
        model: A new model with the same settings.
        state: What `sac_state` returned.

    Raises:
        ValueError: If the state's replay buffer does not fit the model's, or is of a kind that is not copied.
    """
    buffer = _copyable(model)
    _check_fits(buffer, state)
    model.set_parameters(state["parameters"], exact_match=True)
    if model.log_ent_coef is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(state["log_ent_coef"])
    for name in ARRAYS:
        saved = torch.as_tensor(state["buffer"][name])
        _filled(buffer, name, len(saved)).copy_(saved)
    if isinstance(buffer, DeviceReplay):
        buffer.decode(0, len(state["buffer"]["rewards"]))
    buffer.pos, buffer.full = state["buffer_position"]
    model.num_timesteps, model._n_updates, model._episode_num = state["counts"]
    random = state["random"]
    torch.set_rng_state(random["torch"])
    if model.device.type == "cuda" and random["cuda"]:  # a training on a CPU has none; earlier versions kept all GPUs'
        torch.cuda.set_rng_state(random["cuda"][0], model.device)
    np.random.set_state(random["numpy"])  # noqa: NPY002 - as above
    model.action_space.np_random.bit_generator.state = random["actions"]


def build_policy(
    observation_space: spaces.Box, action_space: spaces.Box, weights: Mapping[str, torch.Tensor]
) -> SACPolicy:
    """Build the default policy of `make_sac` from its weights, for prediction, without unpickling.

    Args:
        observation_space: The environment's Box.
        action_space: The environment's Box.
        weights: The policy's state dict; the sizes of its layers are read from it.

    Returns:
        The policy on the CPU, in evaluation mode.
    """
    widths = {"pi": _widths(weights, "actor.latent_pi."), "qf": _widths(weights, "critic.qf0.")[:-1]}
    policy = SACPolicy(observation_space, action_space, lr_schedule=lambda _: 0.0, net_arch=widths)
    policy.load_state_dict(weights)
    policy.set_training_mode(False)
    return policy


def _widths(weights: Mapping[str, torch.Tensor], start: str) -> list[int]:
    """Return the widths of the layers whose names begin so, in their order."""
    found = {
        int(name.split(".")[2]): len(weights[name]) for name in weights if name.startswith(start) and "bias" in name
    }
    return [found[place] for place in sorted(found)]


def _check_env(env: Any) -> None:
    own = (HandLatentVectorEnv, HandRefineVectorEnv, HandScheduleVectorEnv)
    if isinstance(env, gym.Env) or (isinstance(env, gym.vector.VectorEnv) and isinstance(env.unwrapped, own)):
        return
    found = type(env.unwrapped if isinstance(env, gym.vector.VectorEnv) else env).__name__
    raise TypeError(
        f"make_sac needs an environment of this project, from gym.make(...) or gym.make_vec(..., "
        f"autoreset_mode='SameStep') without vectorization_mode, got {found}. For any other, build FastSAC itself."
    )


def _fitting(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any], looks: bool) -> dict[str, Any]:
    if isinstance(env.unwrapped, HandScheduleEnv | HandScheduleVectorEnv):
        return SCHEDULE_SETTINGS
    single = _refine_env(env)
    if single is None:
        return ROW_SETTINGS if isinstance(env, gym.vector.VectorEnv) else SETTINGS
    fitting: dict[str, Any] = {"ent_coef": REFINE_ENT_COEF}
    if single.steps_per_episode == 1:  # no step follows
        fitting |= {"gamma": 0.0, **({"replay_buffer_class": OneStepReplay} if looks else {})}
    if not isinstance(env, gym.vector.VectorEnv):
        return {**SETTINGS, **fitting}
    per_sample = REFINE_PICTURE_UPDATES_PER_SAMPLE if looks else REFINE_UPDATES_PER_SAMPLE
    updates = max(1, round(env.num_envs * per_sample))
    return {**(REFINE_PICTURE_SETTINGS if looks else REFINE_ROW_SETTINGS), "gradient_steps": updates, **fitting}


def _seen_through(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> dict[str, Any]:
    single = _refine_env(env)
    if single is None:
        raise TypeError(
            f"RefinePolicy needs HandRefine-v0, single or vector form, got {type(env.unwrapped).__name__}. Use "
            "'MlpPolicy' for other environments."
        )
    layer: Any = env
    while isinstance(layer, gym.Wrapper | gym.vector.VectorWrapper):
        if isinstance(layer, gym.ObservationWrapper | gym.vector.VectorObservationWrapper):
            raise TypeError(
                f"RefinePolicy decodes observations, so they must be latents, got {type(layer).__name__} around the "
                "environment. Leave this wrapper out."
            )
        layer = layer.env
    return {"vae": Sight(single.vae), "delta_scale": single.delta_scale}


def _refine_env(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> HandRefineEnv | None:
    """Return the single form of HandRefine-v0 that an environment is or contains; None for other environments."""
    base = env.unwrapped
    single = base.env if isinstance(base, HandRefineVectorEnv) else base
    return single if isinstance(single, HandRefineEnv) else None


def _copyable(model: SAC) -> ReplayBuffer:
    """Return the replay buffer of a model if `sac_state` can copy it."""
    buffer = replay_of(model)
    if model.get_vec_normalize_env() is not None:
        raise ValueError(
            "sac_state copies no statistics of VecNormalize, which this model has. Use SAC.save and VecNormalize.save."
        )
    thin = buffer.optimize_memory_usage
    if thin or isinstance(buffer.observation_space, spaces.Dict):
        found = "optimize_memory_usage=True" if thin else "observations in dicts"
        raise ValueError(
            f"sac_state copies replay buffers with arrays of observations and of next observations, got {found}. Use "
            "SAC.save and SAC.save_replay_buffer."
        )
    return buffer


def _check_fits(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Refuse the state of a replay buffer of another size; states of earlier versions do not tell unless it is full."""
    rows, full = len(state["buffer"]["rewards"]), state["buffer_position"][1]
    saved = state.get("buffer_rows", rows if full else max(rows + 1, buffer.buffer_size))
    shapes = ((saved, *state["buffer"][name].shape[1:]) for name in ARRAYS)
    for name, shape in zip(ARRAYS, shapes, strict=True):
        own = tuple(getattr(buffer, name).shape)
        if shape != own:
            raise ValueError(
                f"the replay buffer's {name} must have shape {shape}, as in the state, got {own}. Build SAC with the "
                "same buffer_size and environment."
            )


def _filled(buffer: ReplayBuffer, name: str, rows: int) -> torch.Tensor:
    """Return the first rows of an array of the replay buffer, wherever it lies; writing to them writes to it."""
    return torch.as_tensor(getattr(buffer, name)[:rows])
