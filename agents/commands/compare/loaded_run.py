"""The parts of a run that a comparison uses: the VAE, and the samplers and agents by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.rl.row_agent import RETRY_SEED
from agents.runs.manifest import HALVES
from agents.runs.packaged import is_package, read_run
from agents.runs.pictures import tell
from agents.runs.run import REJECTION, SAMPLER_FILES, Run
from agents.runs.run_folder import AGENT_WEIGHTS, CLASSIFIER, CONFIG, LATENT_AGENT, REFINER, REPORT, VAE_WEIGHTS, sha256
from hand_env.refinement import Agent
from vae.model import VAE
from vae.sampling.sampler import Sampler


@dataclass(frozen=True, eq=False)
class Corrections:
    """An agent that corrects latents row by row, as `hand_env.refine` lets it.

    Attributes:
        agent: Chooses (n, D) actions in [-1, 1].
        delta_scale: Kappa: the largest move of a correction in each dimension.
        steps: Number of corrections, one after another.
        looks: Number of pictures per latent that the agent itself decodes for them; it is shown the first one.
        seed: Seed of random corrections after dropped ones, as in `hand_env.refine`; None: there are none, and
            nothing is mirrored.
    """

    agent: Agent
    delta_scale: float
    steps: int = 1
    looks: int = 0
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """Hold the parts of a run that are compared.

    Attributes:
        vae: Decodes latents.
        samplers: The run's samplers, by their names in `Run.samplers`.
        agents: The run's agents, by name: "sac-latent" and "sac-refine".
        split_seed: Seed of the split by person that the run was trained on.
        settings: The run's settings, as text.
        sha256: Hashes of the files of "vae", the samplers and the agents, by these names.
    """

    vae: VAE
    samplers: Mapping[str, Sampler]
    agents: Mapping[str, Corrections]
    split_seed: int
    settings: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


def runs_in(folder: Path) -> list[Path]:
    """Return a run's folder, or the finished runs in a folder that `handlatent sweep` made for the seeds of a setting.

    Raises:
        ValueError: If the runs in it have several settings.
    """
    if (folder / CONFIG).is_file() or is_package(folder):
        return [folder]
    found = sorted((path.parent for path in folder.glob(f"*/{CONFIG}")), key=lambda run: (len(run.name), run.name))
    finished = [run for run in found if (run / REPORT).is_file()]
    if settings := sorted({str(path.parents[1]) for path in folder.glob(f"*/*/{CONFIG}")} if not found else ()):
        raise ValueError(
            f"'{folder}' holds runs of {len(settings)} settings. Name the folders of those to compare: "
            f"{', '.join(map(repr, settings))}."
        )
    tell([f"Left out: '{run}' is not finished." for run in found if run not in finished])
    return finished or [folder]


def load_compared_run(folder: Path) -> LoadedRun:
    """Load the parts of a finished run; only this function knows which file holds which sampler and agent.

    Args:
        folder: Folder of the run, or of a set of weights that `handlatent package` wrote.

    Returns:
        The loaded run, with the VAE in evaluation mode on the CPU.

    Raises:
        ValueError: If there is no finished run.
    """
    run, packed = read_run(folder), is_package(folder)
    agents: dict[str, Corrections] = {}
    files = {name: SAMPLER_FILES[name][0] for name in run.samplers if name in SAMPLER_FILES}
    if run.settings["agent"] == "sac-flat":
        agents["sac-latent"] = Corrections(BatchAgent(run), run.settings["delta_scale"])
        files["sac-latent"] = AGENT_WEIGHTS
    if run.latent_agent is not None:
        agents["sac-latent"] = Corrections(run.latent_agent, run.latent_agent.notes.delta_scale)
        files["sac-latent"] = LATENT_AGENT
    if run.refiner is not None:
        notes = run.refiner.notes
        looks = notes.sees_pictures * (notes.steps_per_episode - 1)
        agents["sac-refine"] = Corrections(run.refiner, notes.delta_scale, notes.steps_per_episode, looks, RETRY_SEED)
        files["sac-refine"] = REFINER
    vae = [f"{half}.safetensors" for half in HALVES] if packed else [VAE_WEIGHTS]
    digests = {"vae": " ".join(sha256(folder / file) for file in vae)}
    digests |= {name: sha256(folder / file) for name, file in files.items()}
    if REJECTION in run.samplers:  # it depends on both files
        digests[REJECTION] = f"{digests['prior']} {sha256(folder / CLASSIFIER)}"
    settings = json.dumps(run.settings) if packed else (folder / CONFIG).read_text(encoding="utf-8")
    samplers = {name: Remembered(sampler) for name, sampler in run.samplers.items()}
    return LoadedRun(run.vae.eval().requires_grad_(False), samplers, agents, run.split_seed, settings, digests)


class Remembered:
    """A sampler that caches its latents: every agent starts from the same ones, and the best sampler is the slowest."""

    def __init__(self, sampler: Sampler) -> None:
        """Start with an empty cache."""
        self.sampler, self._drawn = sampler, dict[tuple[int, int], Tensor]()

    def sample(self, n: int, seed: int) -> Tensor:
        """Return a copy of (n, D) float32 latents on the CPU."""
        if (n, seed) not in self._drawn:
            self._drawn[n, seed] = self.sampler.sample(n, seed)
        return self._drawn[n, seed].clone()


class BatchAgent:
    """Let the agent of `handlatent train`, which sees whole batches of latents, act on any number of latents."""

    def __init__(self, run: Run) -> None:
        """Store the run."""
        self.run = run

    def predict(self, observation: NDArray[np.float32], *, deterministic: bool) -> tuple[NDArray[np.float32], None]:
        """Return the best actions, (n, D), for (n, D) latents; the first latents fill up the last batch."""
        actions: NDArray[np.float32] = self.run.deltas(torch.from_numpy(observation)).numpy()
        return actions, None
