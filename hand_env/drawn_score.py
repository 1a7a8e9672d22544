"""Score what a VAE in training draws: the loss that the reward "drawn_change" is made of."""

import torch

from hand_env.anatomy.judge import default_judge
from hand_env.scoring import ScoreFn, judge_pictures
from vae.evaluation import decode_chunks, encode_all
from vae.optim import stream_seed
from vae.sampling.gaussian import Gaussian
from vae.training import Trainer

MOST_ENCODED = 1024  # training pictures that the Gaussian is fitted to
TOGETHER = 64  # hands decoded and judged at a time
_DRAWN = 4  # the purpose of these random numbers; the trainer has 0 to 3


class DrawnScore:
    """Draw the same K hands again and again while a VAE learns, and judge them.

    A Gaussian is fitted to the latents of the training pictures, with the averaged weights, as they are now. It places
    noise that never changes: what differs between two measurements is the VAE alone.
    """

    def __init__(self, trainer: Trainer, n: int, judge: ScoreFn | None) -> None:
        """Draw the noise.

        Args:
            trainer: The episode's trainer; its seed decides the noise.
            n: K, the number of hands.
            judge: A function from (batch, 3, S, S) float32 pictures in [0, 1] to (batch,) scores, or None: the
                packaged rewarding judge.
        """
        generator = torch.Generator().manual_seed(stream_seed(trainer.seed, _DRAWN, 0))
        noise = torch.randn(n, trainer.vae.latent_dim, generator=generator)
        self.trainer, self.noise = trainer, noise.to(trainer.device)
        self.judge = default_judge("parser", str(trainer.device)).score if judge is None else judge

    @torch.no_grad()
    def wrong(self) -> float:
        """Return W = 1 - the mean score of the hands that the VAE draws now; NaN if it diverged."""
        vae = self.trainer.averaged_vae
        mean, log_var = encode_all(vae, self.trainer.images[:MOST_ENCODED])
        if not (mean.isfinite().all() and log_var.isfinite().all()):
            return float("nan")
        latents, total = Gaussian.fit(mean, log_var).place(self.noise), 0.0
        for pictures in decode_chunks(vae, latents, TOGETHER):
            if not pictures.isfinite().all():
                return float("nan")
            total += float(judge_pictures(self.judge, pictures).sum())
        return 1.0 - total / len(latents)
