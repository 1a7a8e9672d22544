"""The tab "Draw": hands from a sampler, with and without the agent side by side, each with the judge's verdict."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents.commands.demo.verdict import hand
from agents.runs.run import Run
from hand_env import LogitScore
from hand_env.anatomy import Judgement, wilson
from hand_env.anatomy.judge import default_judge
from vae.checks import LARGEST_SEED, integer
from vae.evaluation import decode_all
from vae.images import to_float
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import Sampler
from vae.torch_modes import usual_modes

MOST = 60  # hands
CHUNK = 4  # hands at a time: the first are there within a second or two


@dataclass(frozen=True)
class DrawSettings:
    """What to draw.

    Attributes:
        weights: One of the sets that the page offers.
        sampler: One of the set's samplers, or "auto".
        seed: Seed of the latents, >= 0.
        n: Number of hands, 1..MOST.
    """

    weights: str
    sampler: str = "auto"
    seed: int = 0
    n: int = 20

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        integer("seed", self.seed, 0, LARGEST_SEED)
        integer("n", self.n, 1, MOST)


def draw(run: Run, settings: DrawSettings) -> Generator[dict[str, Any], None, None]:
    """Draw the hands that `draw_hands` draws, some at a time.

    Args:
        run: The weights.
        settings: What to draw.

    Yields:
        {"agent": who acts}, then {"hands": [{"without": hand, "with": hand}, ...], "done": so far, "of": n}, and at the
        end {"summary": lines}.
        A hand is what `verdict.hand` returns; "with" is None if no agent of these weights acts on drawn hands.

    Raises:
        ValueError: If the weights lack the sampler.
    """
    sampler, agent = run.samplers[run.sampler_name(settings.sampler)], agent_of(run)
    acts = agent is not None
    yield {"agent": agent or "These weights have no agent that acts on drawn hands."}
    correct: dict[str, list[bool]] = (
        {"without the agent": [], "with the agent": []} if acts else {"without an agent": []}
    )
    done = changed = 0
    for latents in in_parts(sampler, settings.n, settings.seed):
        after = acted(run, latents) if acts else latents
        changed += int((after != latents).any(1).sum())
        hands, verdicts = _both(run, latents, after if acts else None)
        for own, found in zip(correct.values(), verdicts, strict=True):
            own += [one.correct for one in found]
        done += len(latents)
        yield {"hands": hands, "done": done, "of": settings.n}
    lines = [f"Correct {side}: {wilson(sum(own), len(own))}" for side, own in correct.items()]
    yield {"summary": [*lines, f"The agent changed {changed} of {settings.n} hands."] if acts else lines}


def agent_of(run: Run) -> str | None:
    """Name what acts on drawn hands, or return None."""
    names = [] if run.acts_on_drawn == "none" else [f"The agent '{run.acts_on_drawn}'"]
    names += [] if run.refiner is None else ["The refiner, a SAC agent trained in HandRefine-v0"]
    return ". ".join(names) or None


def in_parts(sampler: Sampler, n: int, seed: int) -> Iterator[Tensor]:
    """Draw the latents that `sampler.sample(n, seed)` draws, `CHUNK` at a time, (up to CHUNK, D) each.

    A re-encoding sampler decodes and encodes again, which takes as long as everything else together. So each part is
    re-encoded only when it is asked for.
    """
    if not isinstance(sampler, Reencoded):
        yield from torch.split(sampler.sample(n, seed), CHUNK)
        return
    for part in torch.split(sampler.sampler.sample(n, seed), CHUNK):
        yield sampler.reencode(part)


@usual_modes()
def _both(run: Run, latents: Tensor, corrected: Tensor | None) -> tuple[list[dict[str, Any]], list[list[Judgement]]]:
    """Decode and judge latents, and the same after the agent, if there is one."""
    sides = [decode_all(run.vae, each) for each in (latents, corrected) if each is not None]
    verdicts = [default_judge("reporter").judge(to_float(pictures)) for pictures in sides]
    shown = [[hand(*each) for each in zip(*side, strict=True)] for side in zip(sides, verdicts, strict=True)]
    after = [None] * len(latents) if corrected is None else shown[1]
    return [{"without": one, "with": other} for one, other in zip(shown[0], after, strict=True)], verdicts


@usual_modes()
def acted(run: Run, latents: Tensor) -> Tensor:
    """Let the agent act on (n, D) latents, and the refiner correct them, as `draw_hands` does."""
    if run.acts_on_drawn != "none":
        latents = run.act(latents)
    return latents if run.refiner is None else run.refiner.refine(latents, run.vae, LogitScore()).latents
