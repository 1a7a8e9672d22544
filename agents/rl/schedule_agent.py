"""The agent of HandSchedule-v0: random schedules that SAC sees before it acts, and the trained agent's file."""

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy

from agents.rl.sac import build_policy
from hand_env.schedule.features import FEATURES
from vae.files import DamagedError, load_weights

Actions = NDArray[np.float32]

_FOLDER = Path(str(resources.files("agents") / "weights" / "schedule"))
PACKAGED = _FOLDER / "agent.safetensors"
PACKAGED_FOR_DRAWN = _FOLDER / "drawn.safetensors"  # trained in the settings of `make demo`
DECISIONS = 5  # of the trained agent in a VAE's training, at most one an epoch
N_DRAWN = 128  # hands drawn and judged at each decision


def random_schedules(steps: int, rows: int, generator: np.random.Generator) -> Actions:
    """Draw whole schedules at random: each number of the action follows a line, or stays at -1, which means 0.

    Independent actions would average out over an episode, and all episodes would look alike.

    Args:
        steps: Decisions in an episode.
        rows: Episodes.
        generator: Source of random numbers.

    Returns:
        (steps, rows, 3) float32 in [-1, 1].
    """
    first, last = generator.uniform(-1, 1, (2, 1, rows, 3))
    done = np.linspace(0, 1, steps)[:, None, None]
    lines = first + done * np.where(generator.random((1, rows, 3)) < 0.5, 0, last - first)
    none = generator.random((1, rows, 3)) < 0.3
    return np.where(none, -1.0, lines).astype(np.float32)


def explore(model: SAC, env: VecEnv, observations: NDArray[np.float32], schedules: Actions) -> Any:
    """Act on an environment by schedules, and store what happens in the model's replay buffer.

    Args:
        model: SAC for this environment.
        env: The environment, at an episode's start.
        observations: (rows, ...) float32, its observations.
        schedules: (steps, rows, ...) float32, from `random_schedules`.

    Returns:
        The environment's observations after the last step, and the infos of that step.
    """
    assert model.replay_buffer is not None, "SAC makes one"
    infos: list[dict[str, Any]] = []
    for actions in schedules:
        following, rewards, dones, infos = env.step(actions)
        assert isinstance(following, np.ndarray), "HandSchedule-v0 has a Box"
        ends = [
            info["terminal_observation"] if done else own
            for info, done, own in zip(infos, dones, following, strict=True)
        ]
        model.replay_buffer.add(observations, np.stack(ends), actions, rewards, dones, infos)
        observations = following
    return observations, infos


def epochs_per_decision(epochs: int) -> int:
    """Return how many epochs of a VAE's training pass between two decisions: at most `DECISIONS` are made."""
    return -(-epochs // DECISIONS)


def load_agent(path: Path = PACKAGED, flag: str = "--agent") -> SACPolicy:
    """Read the weights of SAC's policy for HandSchedule-v0; nothing is unpickled.

    Args:
        path: The file that `handlatent schedule` wrote; default: the packaged agent.
        flag: The flag that named the file, for messages.

    Returns:
        The policy on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not hold such a policy.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{flag} '{path}' must be the file of a trained agent, and there is none.")
    observations = spaces.Box(-np.inf, np.inf, (len(FEATURES),), np.float32)
    try:
        return build_policy(observations, spaces.Box(-1.0, 1.0, (3,), np.float32), load_weights(path))
    except (DamagedError, RuntimeError, KeyError) as error:
        found = error if isinstance(error, DamagedError) else "weights of something else"  # PyTorch lists every tensor
        raise ValueError(
            f"{flag} '{path}' must hold the weights of SAC's policy for HandSchedule-v0, got: {found}. Make such a "
            "file with `handlatent schedule`, or save model.policy.state_dict() as .safetensors."
        ) from error
