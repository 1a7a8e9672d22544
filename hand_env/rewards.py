"""What a step is paid for."""

import numpy as np
from numpy.typing import NDArray


class LossChange:
    """Pay for the change of each picture's loss since it was last seen.

    The paper's reward is R_t = -lambda * (L_t - L_(t-1)), with L_t the mean loss of epoch t. Here L_t is the mean over
    the pictures of their loss at their last visit in epoch t, so the changes of the visits of an epoch, each divided
    by N, add up to L_t - L_(t-1): a sum that telescopes, whether or not B divides N.
    """

    def __init__(self, n_images: int, first_loss: NDArray[np.float64] | None = None) -> None:
        """Remember nothing yet, or the losses before the first epoch.

        Args:
            n_images: N, pictures in the training set.
            first_loss: (image,) float64, nats; they stand in for epoch 0. Without them the first epoch pays 0.
        """
        self.pays_first_epoch = first_loss is not None
        self.last_loss = np.zeros(n_images) if first_loss is None else first_loss.astype(np.float64)

    def visit(self, index: NDArray[np.int64], loss: NDArray[np.float64], first_epoch: bool) -> NDArray[np.float64]:
        """Note the losses of a minibatch.

        Args:
            index: (batch,) int64, positions of its pictures in the training set, each once.
            loss: (batch,) float64, their losses now, nats.
            first_epoch: Whether this is epoch 1.

        Returns:
            (batch,) float64, change of each loss since the last visit, nats; 0 where there was none.
        """
        change = loss - self.last_loss[index]
        self.last_loss[index] = loss
        return np.zeros_like(change) if first_epoch and not self.pays_first_epoch else change
