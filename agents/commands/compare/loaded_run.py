"""What a comparison takes from a run: the VAE, its samplers and its agents, each by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.runs.packaged import HALVES, is_package, read_run
from agents.runs.pictures import SYNTHETIC
from agents.runs.run import SAMPLERS, Run
from agents.runs.run_folder import AGENT_WEIGHTS, CONFIG, LATENT_AGENT, REFINER, VAE_WEIGHTS, sha256
from hand_env.refinement import Agent
from vae.images import SPLIT_SEED
from vae.model import VAE
from vae.sampling.sampler import Sampler


@dataclass(frozen=True, eq=False)
class Corrections:
    """An agent that corrects latents row by row, as `hand_env.refine` lets it.

    Attributes:
        agent: Chooses (n, D) actions in [-1, 1].
        delta_scale: Kappa: how far a correction moves a latent in each dimension at most.
        steps: How many corrections it makes, one after another.
        looks: How many pictures of a latent it decodes for itself to make them.
    """

    agent: Agent
    delta_scale: float
    steps: int = 1
    looks: int = 0


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """Hold what is compared.

    Attributes:
        vae: Decodes latents.
        samplers: By name, of `SAMPLERS`: those that the run has.
        agents: By name, "sac-latent" and "sac-refine": those that the run has.
        split_seed: Of the split by person that the run was trained on.
        settings: Of the run, as text.
        sha256: Of the files that "vae", samplers and agents were read from, by these names.
    """

    vae: VAE
    samplers: Mapping[str, Sampler]
    agents: Mapping[str, Corrections]
    split_seed: int
    settings: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


def load_compared_run(folder: Path) -> LoadedRun:
    """Take a finished run apart: the one place that knows where a run keeps which sampler and agent.

    Args:
        folder: The run's, or that of a set of weights, as `handlatent package` makes it.

    Returns:
        Its pieces; the VAE in evaluation mode, on the CPU.

    Raises:
        ValueError: If there is no finished run.
    """
    run, packed = read_run(folder), is_package(folder)
    agents: dict[str, Corrections] = {}
    files = {name: SAMPLERS[name][0] for name in run.samplers if name in SAMPLERS}
    if run.settings["agent"] == "sac":
        agents["sac-latent"] = Corrections(BatchAgent(run), run.settings["delta_scale"])
        files["sac-latent"] = AGENT_WEIGHTS
    if run.latent_agent is not None:
        agents["sac-latent"] = Corrections(run.latent_agent, run.latent_agent.notes.delta_scale)
        files["sac-latent"] = LATENT_AGENT
    if run.refiner is not None:
        notes = run.refiner.notes
        agents["sac-refine"] = Corrections(
            run.refiner, notes.delta_scale, notes.steps_per_episode, notes.sees_pictures * notes.steps_per_episode
        )
        files["sac-refine"] = REFINER
    own = SPLIT_SEED if run.settings["data"] == SYNTHETIC else run.settings["seed"]
    split_seed = run.settings.get("split_seed", own)  # `handlatent recipe` keeps to the judges' split
    vae = [f"{half}.safetensors" for half in HALVES] if packed else [VAE_WEIGHTS]
    digests = {"vae": " ".join(sha256(folder / file) for file in vae)}
    digests |= {name: sha256(folder / file) for name, file in files.items()}
    settings = json.dumps(run.settings) if packed else (folder / CONFIG).read_text(encoding="utf-8")
    samplers = {name: Remembered(sampler) for name, sampler in run.samplers.items()}
    return LoadedRun(run.vae.eval().requires_grad_(False), samplers, agents, split_seed, settings, digests)


class Remembered:
    """A sampler that draws the same latents once: every agent begins with them, and the best sampler is the slowest."""

    def __init__(self, sampler: Sampler) -> None:
        """Remember nothing yet."""
        self.sampler, self._drawn = sampler, dict[tuple[int, int], Tensor]()

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw (n, D) float32 on the CPU, a copy."""
        if (n, seed) not in self._drawn:
            self._drawn[n, seed] = self.sampler.sample(n, seed)
        return self._drawn[n, seed].clone()


class BatchAgent:
    """The agent of `handlatent train`, which sees a batch of latents at once, as one that is shown any number."""

    def __init__(self, run: Run) -> None:
        """Remember the run."""
        self.run = run

    def predict(self, observation: NDArray[np.float32], *, deterministic: bool) -> tuple[NDArray[np.float32], None]:
        """Return (n, D) actions for (n, D) latents, its best ones; the last batch is filled up from the first."""
        actions: NDArray[np.float32] = self.run.deltas(torch.from_numpy(observation)).numpy()
        return actions, None
