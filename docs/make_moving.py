"""Draw the moving pictures: `python docs/make_moving.py [learning] [correcting]`, both if neither is named.

`learning.webp` shows the VAE of `make demo` while it learns, with the agent and without. Both start from the same
weights and draw from the same noise. It takes as long as `make demo` twice. `correcting.webp` shows latents of the
packaged prior while the packaged refiner corrects them, round by round: of the hands that it changes, those that most
rounds change come first. Captions count right hands by the reporting judge.
"""

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from agents import draw_hands
from agents.commands.train.args import TrainArgs
from agents.commands.train.training import TrainingRun
from agents.rl.row_agent import ROUNDS
from agents.runs.packaged import load_packaged
from agents.runs.pictures import Choice, gather
from hand_env import LogitScore, image_grid
from hand_env.anatomy import judge_images
from hand_env.drawn_score import DrawnScore
from hand_env.rendering import captioned
from vae.evaluation import decode_all
from vae.images import to_float
from vae.images.image_set import to_uint8

DEMO: dict[str, Any] = {"images": 2000, "epochs": 15, "learning_rate": 1e-3, "kl_weight": 4.0}  # as in the Makefile
AGENTS: dict[str, Literal["none", "sac"]] = {"without the agent": "none", "with the agent": "sac"}
EVERY, HANDS, COLUMNS = 50, 20, 5  # training steps between two frames; hands in a frame
FRAME, STILL, LAST = 120, 1500, 2500  # milliseconds that a frame is shown, one between two rounds, and the last one
CORRECTED, LATENTS, SEED, BETWEEN = 8, 700, 0, 12  # latents that are shown, and drawn; frames between two rounds
MOST_BYTES = 1_500_000

Frame = NDArray[np.uint8]


class Filmed(TrainingRun):
    """A run of `handlatent train` that keeps what its VAE draws, every `EVERY` steps."""

    def film(self) -> list[Tensor]:
        """Train; return (HANDS, 3, S, S) uint8 pictures of each frame."""
        self.drawn: list[Tensor] = [self._draw()]
        self.train()
        return self.drawn

    def after_step(self, reward: float, terminated: bool, info: dict[str, Any]) -> None:
        """Log a step, and draw if it is time."""
        super().after_step(reward, terminated, info)
        if self.trainer.steps_done % EVERY == 0:
            self.drawn.append(self._draw())

    def _draw(self) -> Tensor:
        pictures = DrawnScore(self.trainer, HANDS, None, "mixture").draw()
        assert pictures is not None, "the VAE diverged"
        return to_uint8(pictures)


def learning(folder: Path) -> None:
    """Train twice and write learning.webp."""
    sides: dict[str, list[Tensor]] = {}
    for caption, agent in AGENTS.items():
        with tempfile.TemporaryDirectory() as run:
            args = TrainArgs(agent=agent, device="cpu", out=Path(run) / "run", **DEMO)
            choice = Choice(**{name: getattr(args, name) for name in Choice.__dataclass_fields__})
            args.out.mkdir()
            sides[caption] = Filmed(args, gather(choice)).film()
    frames = []
    for number, pair in enumerate(zip(*sides.values(), strict=True)):
        panels = [
            captioned(image_grid(pictures, columns=COLUMNS), f"{caption}: {_right(pictures)}")
            for caption, pictures in zip(sides, pair, strict=True)
        ]
        step = captioned(np.concatenate(panels, axis=1), f"training step {number * EVERY}")
        frames.append(step)
    _write(frames, [FRAME] * len(frames), folder / "learning.webp")


def correcting(folder: Path) -> None:
    """Correct the prior's latents round by round and write correcting.webp."""
    run, judge = load_packaged(), LogitScore()
    assert run.refiner is not None, "the packaged set has one"
    after = [draw_hands(LATENTS, seed=SEED, sampler="prior", refine=False).latents]
    for _ in range(ROUNDS):
        after.append(run.refiner.refine(after[-1], run.vae, judge, rounds=1).latents)
    rounds = torch.stack([(there != here).any(1) for here, there in pairwise(after)]).sum(0)
    changed = torch.argsort(rounds, descending=True, stable=True)[:CORRECTED]
    frames, durations = [], []
    for number, here in enumerate(after):
        pictures = decode_all(run.vae, here[changed])
        stage = f"after round {number}" if number else "as drawn"
        frames.append(captioned(image_grid(pictures, columns=CORRECTED // 2), f"{stage}: {_right(pictures)}"))
        durations.append(STILL)
        for share in np.linspace(0, 1, BETWEEN + 2)[1:-1] if number < ROUNDS else []:
            pictures = decode_all(run.vae, torch.lerp(here[changed], after[number + 1][changed], float(share)))
            frames.append(captioned(image_grid(pictures, columns=CORRECTED // 2), f"round {number + 1}"))
            durations.append(FRAME)
    shown = dict(zip(changed.tolist(), rounds[changed].tolist(), strict=True))
    print(
        f"Of {LATENTS} hands the agent changed {int((rounds > 0).sum())}; shown, with rounds that change them: {shown}"
    )
    _write(frames, durations, folder / "correcting.webp")


def _right(pictures: Tensor) -> str:
    verdicts = judge_images(to_float(pictures), architecture="reporter")
    return f"{sum(verdict.correct for verdict in verdicts)} of {len(pictures)} right"


def _write(frames: list[Frame], durations: list[int], path: Path) -> None:
    first, *rest = [Image.fromarray(frame) for frame in frames]
    durations = [*durations[:-1], LAST]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, quality=70, method=6)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes, more than {MOST_BYTES:,}. Lower its quality or its frames.")
    print(f"{path.name}: {len(frames)} frames, {size:,} bytes")


if __name__ == "__main__":
    pictures = {"learning": learning, "correcting": correcting}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{' or '.join(pictures)}; default: both")
    asked = parser.parse_args().names
    for unknown in set(asked) - set(pictures):
        parser.error(f"name must be {' or '.join(pictures)}, got {unknown!r}")
    for name in asked or pictures:
        pictures[name](Path(__file__).parent)
