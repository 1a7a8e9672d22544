"""What the processes of a data-parallel job do in tests; the parent compares what they wrote."""

import io
import os
import signal
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from agents.cli import main
from vae import TrainingConfig, VAEConfig, build_vae
from vae.acceleration import parallel
from vae.acceleration.stacked_weights import StackedWeights
from vae.training import Trainer, stack

BATCH, LATENT, STEPS = 6, 5, 7  # N = 20: the last minibatch of an epoch is filled
WAYS = ("eager", "stacked")


def make_trainer(way: str) -> Trainer:
    """A trainer on noise, whose first weights only the main process has; "stacked" is a GPU's way, without graphs."""
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    config = TrainingConfig(epochs=2, batch_size=BATCH, learning_rate=2e-3, gradient_norm=0.1)
    trainer = Trainer(build_vae(VAEConfig(32, LATENT), seed=3 if parallel.is_main() else 7), images, config, seed=4)
    if way == "stacked":
        weights = StackedWeights([trainer.vae], [trainer.averaged], [trainer.optimizer])
        trainer._stack = stack([trainer], weights)
    return trainer


def curve(way: str) -> dict[str, Any]:
    """Train a few steps with shifts that only the main process knows; return all that the steps gave."""
    trainer, seen = make_trainer(way), []
    generator = torch.Generator().manual_seed(5 if parallel.is_main() else 6)
    for _ in range(STEPS):
        latents = trainer.encode().clone()
        losses = trainer.step(torch.randn(BATCH, LATENT, generator=generator), measure_without=True)
        assert losses.without is not None
        seen.append([latents, losses.index, losses.total, losses.without.total])
    return {
        "seen": seen,
        "weights": torch.cat([each.flatten() for each in trainer.vae.parameters()]).detach(),
        "averaged": torch.cat([each.flatten() for each in trainer.averaged_vae.parameters()]).detach(),
        "log_variance": trainer.vae.log_variance,
    }


def work(folder: Path) -> int:
    """Try everything once in each process, and write what came out; at the end, one of them raises an error."""
    rank, found = int(os.environ["RANK"]), {}
    try:
        with parallel.process_group("cpu"):
            found = everything(rank)
            if rank == 1:
                raise KeyError("of one process alone")
    except (KeyError, parallel.AlreadySaid) as error:
        found["ended"] = type(error).__name__
    found["after"] = parallel.world_size()
    torch.save(found, folder / f"{rank}.pt")
    return rank  # the launcher lets a process that returns 0 wait for the others


def everything(rank: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "facts": (parallel.world_size(), parallel.is_main(), parallel.local_rows(BATCH)),
        "gathered": parallel.all_gather(torch.tensor([[10.0 * rank], [10.0 * rank + 1]])),
        "sent": parallel.broadcast(torch.tensor([rank + 7])),
        "flag": parallel.flag_of_main(rank == 0),
        "made": parallel.from_main(lambda: {"by": rank}),
    }
    with parallel.alone():
        found["alone"] = (parallel.world_size(), parallel.is_main(), parallel.capture_mode())
    found["parts"] = parallel.local_parts(torch.arange(12), 3)
    found["means"] = torch.full((2, 3), float(rank)).t(), torch.tensor(4.0 * rank)
    parallel.all_reduce_mean(found["means"])
    found["gradients"] = gradients(rank)
    try:
        parallel.local_rows(BATCH + 1)
    except ValueError as error:
        found["refused"] = str(error)
    try:
        parallel.from_main(lambda: int("no number"))
    except (ValueError, parallel.AlreadySaid) as error:
        found["raised"] = type(error).__name__
    return found | {way: curve(way) for way in WAYS}


def gradients(rank: int) -> list[Any]:
    """Average the gradients of five parameters in four groups: one stays without, one is frozen."""
    first, second, third, unused, frozen = (torch.nn.Parameter(torch.ones(2)) for _ in range(5))
    frozen.requires_grad_(False)
    also, sent, send = torch.tensor(4.0 * rank), list[Any](), dist.all_reduce
    inner = first * (rank + 1)
    inner.register_hook(lambda _: sent.append("the pass reached the first parameter"))

    def noted(flat: torch.Tensor, **settings: Any) -> Any:
        sent.append(len(flat))
        return send(flat, **settings)

    dist.all_reduce = noted
    try:
        with parallel.averaged_gradients([[third, second], [first], [unused], [frozen]], [also]):
            (inner * second * third * frozen).sum().backward()
    finally:
        dist.all_reduce = send
    return [first.grad, second.grad, third.grad, unused.grad, also, sent]


def stuck() -> int:
    """Kill one process while the other waits for ever, as for a GPU."""
    with parallel.process_group("cpu"):
        if not parallel.is_main():
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(3600)
    return 0


def run(folder: Path, words: list[str]) -> int:
    """Run a command in each process; write its process's number first, and at its end what it printed."""
    rank, out = os.environ["RANK"], io.StringIO()
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    with redirect_stdout(out):
        status = main(words)
    (folder / f"out-{rank}").write_text(out.getvalue())
    return status
