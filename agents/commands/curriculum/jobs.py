"""One VAE to train, and its settings."""

from dataclasses import dataclass

from torch import Tensor

from agents.commands.curriculum.args import CurriculumArgs, batch_size
from agents.commands.curriculum.methods import TrainingMethod
from agents.commands.curriculum.store import Key, VAERecord
from vae.training_config import TrainingConfig


@dataclass(frozen=True, eq=False)
class Job:
    """One VAE to train.

    Attributes:
        n: Number of training pictures as the user wrote it.
        epochs: Passes over them.
        method: How the latents are acted on.
        seed: Seed of everything.
        images: (image, 3, S, S) uint8, the training pictures, on the device.
        batch_size: B.
    """

    n: str
    epochs: int
    method: TrainingMethod
    seed: int
    images: Tensor
    batch_size: int

    @property
    def key(self) -> Key:
        """The key of its record in the store."""
        return self.n, self.epochs, self.batch_size, self.method.name, self.seed

    def config(self, args: CurriculumArgs) -> TrainingConfig:
        """Return the settings of its training."""
        return TrainingConfig(self.epochs, self.batch_size, args.learning_rate, kl_weight=self.method.kl_weight)

    def record(self, agent_sha256: str = "") -> VAERecord:
        """Return its record, still empty."""
        images = len(self.images)
        return VAERecord(self.n, images, self.epochs, self.batch_size, self.method.name, self.seed, agent_sha256)


def make_job(n: str, epochs: int, method: TrainingMethod, seed: int, images: Tensor, args: CurriculumArgs) -> Job:
    """Make a job, with the batch size that its number of pictures gives."""
    return Job(n, epochs, method, seed, images, batch_size(len(images), args))
