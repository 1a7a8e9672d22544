"""The tab "Watch": an agent in HandRefine-v0 corrects a hand that the rewarding judge calls wrong, step by step."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.commands.demo.verdict import decoded_hand
from agents.rl.baselines import RandomAction
from agents.runs.run import Agent, Run
from hand_env import HandRefineEnv, LogitScore
from hand_env.refinement import score_latents
from vae.checks import LARGEST_SEED, integer
from vae.sampling.rejection import innermost
from vae.torch_modes import usual_modes

Array = NDArray[np.float32]

STEPS = 6  # episodes, each from the latent that was kept last
CANDIDATES, CHUNK = 192, 24  # hands drawn to find a wrong one, and of them at a time, because most are right
WRONG = 0.0  # log-odds of the rewarding judge; a hand below is wrong


@dataclass(frozen=True)
class WatchSettings:
    """Who acts on what.

    Attributes:
        weights: One of the sets that the page offers.
        sampler: One of the set's samplers, or "auto".
        agent: "sac", the set's trained refiner, or "random": deltas drawn uniformly, times the same kappa.
        seed: Seed of the latents and of the random deltas.
    """

    weights: str
    sampler: str = "auto"
    agent: Literal["sac", "random"] = "sac"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a seed out of range."""
        integer("seed", self.seed, 0, LARGEST_SEED)


class Held:
    """A sampler that gives the latent it holds, so that an episode begins where the last one ended."""

    def __init__(self, latent: Tensor) -> None:
        """Store a (D,) latent."""
        self.latent = latent

    def sample(self, n: int, seed: int) -> Tensor:
        """Return n copies, (n, D)."""
        return self.latent.expand(n, -1).clone()


def watch(run: Run, settings: WatchSettings) -> Generator[dict[str, Any], None, None]:
    """Correct a hand in HandRefine-v0, a step at a time; a correction that does not raise the score is dropped.

    Args:
        run: The weights.
        settings: Who acts on what.

    Yields:
        {"hand": what `verdict.decoded_hand` returns, "step", "score", "reward", "kept", "size"}. The score is the
        log-odds of the rewarding judge, the size the mean of the action's absolute values. Step 0 is the hand as drawn,
        with a score only. A last {"end": text} if the agent has no more to give.

    Raises:
        ValueError: If the weights have no refiner, or lack the sampler.
    """
    if run.refiner is None:
        raise ValueError(
            f"The weights {settings.weights!r:.80} have no agent for HandRefine-v0. Train one with: "
            "handlatent refine RUN"
        )
    notes, sampler = run.refiner.notes, Held(_first_wrong(run, settings))
    env = HandRefineEnv(
        run.vae, sampler=sampler, delta_scale=notes.delta_scale, steps_per_episode=notes.steps_per_episode
    )
    assert isinstance(env.action_space, spaces.Box), "HandRefine-v0 has a Box"
    agent: Agent = run.refiner if settings.agent == "sac" else RandomAction(env.action_space, settings.seed)
    _, info = env.reset(seed=settings.seed)
    yield {"hand": decoded_hand(run, sampler.latent), "step": 0, "score": info["score_before"]}
    for step in range(1, STEPS + 1):
        latent, action, rewards = _episode(env, agent)
        kept, size = sum(rewards) > 0, float(np.abs(action).mean())
        shown = {"hand": decoded_hand(run, latent), "step": step, "reward": sum(rewards), "kept": kept, "size": size}
        yield {**shown, "score": env.state_dict()["score"]}
        if kept:
            sampler.latent = latent
        elif settings.agent == "sac":
            yield {
                "end": "The agent is deterministic: from this hand it would try the same correction again. "
                "Another seed gives another hand."
            }
            return


@usual_modes()
def _episode(env: HandRefineEnv, agent: Agent) -> tuple[Tensor, Array, list[float]]:
    """Run an episode; return the corrected latent, the last action and the rewards."""
    observation, _ = env.reset()
    rewards, ended = list[float](), False
    while not ended:
        action, _ = agent.predict(observation, deterministic=True)
        observation, reward, ended, _, _ = env.step(action)
        rewards.append(reward)
    return torch.from_numpy(observation[: env.latent_dim].copy()), action, rewards


@usual_modes()
def _first_wrong(run: Run, settings: WatchSettings) -> Tensor:
    """Return the first wrong latent, else the lowest, (D,), without re-encoding and rejection, which leave few."""
    latents = innermost(run.samplers[run.sampler_name(settings.sampler)]).sample(CANDIDATES, settings.seed)
    scores = np.empty(0)
    for part in torch.split(latents, CHUNK):
        scores = np.append(scores, score_latents(run.vae, LogitScore(), part.numpy()))
        if (scores < WRONG).any():
            return latents[int((scores < WRONG).argmax())]
    return latents[int(scores.argmin())]
