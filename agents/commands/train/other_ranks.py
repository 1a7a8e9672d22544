"""What all processes but the main one do in a data-parallel `handlatent train`: their rows of each minibatch."""

from typing import Any

import numpy as np

from agents.commands.train.args import TrainArgs
from agents.commands.train.training import make_env
from agents.runs.ctrl_c import CtrlC
from agents.runs.pictures import Pictures
from vae.acceleration import parallel


def follow(args: TrainArgs, pictures: Pictures) -> None:
    """Take the main process's steps with it, until it has taken all or stops; it alone acts, logs and saves.

    Args:
        args: The main process's settings.
        pictures: The main process's pictures.

    Raises:
        AlreadySaid: If the VAE diverged, which the main process says.
    """
    state: dict[str, Any] | None = parallel.from_main(lambda: None)
    env = make_env(args, pictures)
    env.reset(seed=args.seed, options=None if state is None else {"state": state})
    instead = np.zeros(env.action_space.shape or (), np.float32)  # the trainer takes the main process's shift
    trainer, stops = env.trainer, False
    with CtrlC():  # the main process decides
        while trainer.steps_done < trainer.total_steps and not stops:
            if env.step(instead)[2]:
                raise parallel.AlreadySaid
            stops = parallel.flag_of_main(False)
