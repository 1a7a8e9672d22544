"""Score what a VAE in training draws: the loss that the reward "drawn_change" is made of."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # torch does not declare it

from hand_env.anatomy.judge import default_judge
from hand_env.scoring import ScoreFn, judge_pictures
from vae.evaluation import decode_chunks, encode_all
from vae.progress import progress_bar
from vae.sampling.gaussian import Gaussian
from vae.sampling.local_gaussians import LocalGaussians, group_count
from vae.seeds import Purpose, stream_seed
from vae.training import Trainer

DrawnFrom = Literal["gaussian", "mixture"]

MOST_ENCODED = 1024  # training pictures that the sampler is fitted to
CHUNK = {"cpu": 64, "cuda": 512}  # hands decoded and judged at a time


class DrawnScore:
    """Draw the same K hands again and again while a VAE learns, and judge them.

    A sampler is fitted in closed form to the latents of the training pictures, with the averaged weights, as they are
    now. It places noise that never changes: what differs between two measurements is the VAE alone.

    Attributes:
        posteriors: Means and log-variances of the first `MOST_ENCODED` training pictures at the last measurement, each
            (image, latent) float32; None before it.
    """

    def __init__(self, trainer: Trainer, n: int, judge: ScoreFn | None, drawn_from: DrawnFrom = "gaussian") -> None:
        """Draw the noise.

        Args:
            trainer: The episode's trainer; its seed decides the noise.
            n: K, the number of hands.
            judge: A function from (batch, 3, S, S) float32 pictures in [0, 1] to (batch,) scores, or None: the
                packaged rewarding judge.
            drawn_from: "gaussian", one fitted to the latents, or "mixture", `LocalGaussians` of them.
        """
        generator = torch.Generator().manual_seed(stream_seed(trainer.seed, Purpose.DRAWN_SCORE, 0))
        noise = torch.randn(n, trainer.vae.latent_dim, generator=generator)
        images, device = min(MOST_ENCODED, len(trainer.images)), trainer.device
        picks, starts = (torch.randint(images, (n,), generator=generator), torch.randperm(images, generator=generator))
        weights = torch.randn(n, images, generator=generator)
        self.trainer, self.noise, self.picks = trainer, noise.to(device), picks.to(device)
        self.starts, self.weights = starts[: group_count(images)].to(device), weights.to(device)
        self.drawn_from = drawn_from
        self.judge = default_judge("parser", str(trainer.device)).score if judge is None else judge
        self.posteriors: tuple[Tensor, Tensor] | None = None

    def wrong(self) -> float:
        """Return W = 1 - the mean score of the hands that the VAE draws now; NaN if it diverged."""
        return _wrong(self.draw(), self.judge)

    @torch.no_grad()
    def draw(self) -> Tensor | None:
        """Draw the K hands as the VAE is now, (K, 3, S, S) float32 in [0, 1]; None if it diverged."""
        vae = self.trainer.averaged_vae
        mean, log_var = self.posteriors = encode_all(vae, self.trainer.images[:MOST_ENCODED])
        try:
            latents = self._place(mean, log_var)
        except (ValueError, LinAlgError):  # not finite, or too large to fit: the VAE diverged
            return None
        pictures = torch.cat(list(decode_chunks(vae, latents, CHUNK[self.trainer.device.type])))
        return pictures if pictures.isfinite().all() else None

    def _place(self, mean: Tensor, log_var: Tensor) -> Tensor:
        if self.drawn_from == "mixture":
            return LocalGaussians.fit(mean, log_var, self.starts).place(self.picks, self.weights, self.noise)
        return Gaussian.fit(mean, log_var).place(self.noise)


def wrong_together(scores: Sequence[DrawnScore]) -> list[float]:
    """Measure W of several VAEs with one judge; on a GPU it judges the hands of all of them together.

    Args:
        scores: One for each VAE, with the same judge.

    Returns:
        W of each; NaN if it diverged. On the CPU they are bit for bit what each measures alone.
    """
    if len(scores) <= 1 or scores[0].trainer.device.type == "cpu":
        return [score.wrong() for score in progress_bar(scores, "Drawing and judging", unit="VAEs")]
    drawn = [score.draw() for score in scores]
    whole = [pictures for pictures in drawn if pictures is not None]
    if not whole:
        return [float("nan")] * len(scores)
    judged = iter(_judged(torch.cat(whole), scores[0].judge).reshape(len(whole), -1))
    return [float("nan") if pictures is None else float(1 - next(judged).mean()) for pictures in drawn]


def _wrong(pictures: Tensor | None, judge: ScoreFn) -> float:
    return float("nan") if pictures is None else float(1 - _judged(pictures, judge).mean())


def _judged(pictures: Tensor, judge: ScoreFn) -> np.ndarray:
    chunks = torch.split(pictures, CHUNK[pictures.device.type])
    return np.concatenate([judge_pictures(judge, chunk) for chunk in chunks])
