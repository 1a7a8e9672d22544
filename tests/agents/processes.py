"""The command line in processes of its own, which a test can interrupt and kill.

They are forked from a process that has imported the package and what it imports when it is needed: a new interpreter
spends seconds on importing torch.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from agents.cli import main
from vae import model

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["agents.cli", "scipy.stats", "sklearn.mixture", "torch._dynamo"])


def _run(work: Callable[..., int], arguments: tuple[object, ...], errors: Path, patches: Mapping[str, object]) -> None:
    for name, value in patches.items():
        pytest.MonkeyPatch().setattr(name, value)
    for stream, path in ((sys.stdout, os.devnull), (sys.stderr, errors)):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.exit(work(*arguments))


def launch(n: int, work: Callable[..., int], *arguments: object) -> int:
    """Do what torchrun does with a command, in processes that are forked from this one."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch  # here: it takes others time for nothing

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a forked process cannot use a GPU that its parent has asked for
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="fork",
        max_restarts=0,
    )
    elastic_launch(config, _exit_with)(work, *arguments)
    return 0


def _exit_with(work: Callable[..., int], *arguments: object) -> None:
    if status := work(*arguments):
        sys.exit(status)


class Command:
    """A command that runs in a process of its own, as `handlatent` does in a terminal.

    Attributes:
        errors: The file that its standard error goes to.
    """

    def __init__(self, errors: Path, *words: object, patches: Mapping[str, object] | None = None) -> None:
        """Start it; `patches` are values for names with dots in the package, as MonkeyPatch.setattr takes them."""
        self._start(errors, patches or {}, main, [str(word) for word in words])

    def _start(self, errors: Path, patches: Mapping[str, object], work: Callable[..., int], *arguments: object) -> None:
        self.errors = errors
        patches = {"vae.model._CHANNELS": model._CHANNELS, **patches}  # a fork begins with the package's own
        self._process = FORKED.Process(target=_run, args=(work, arguments, errors, patches))
        self._process.start()

    def wait_for_step(self, checkpoints: Path, step: int) -> None:
        """Wait for a checkpoint, as long as the process runs: no limit that a busy machine would break."""
        while latest_step(checkpoints) < step:
            assert self.alive, f"ended before step {step}: {self.errors.read_text()}"
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def send(self, number: int) -> int:
        """Send a signal and wait for the end; return the exit status, negative if the signal itself ended it."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self._process.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


class Job(Command):
    """A function that returns an exit status, in several processes, as torchrun starts them."""

    def __init__(
        self,
        errors: Path,
        n: int,
        work: Callable[..., int],
        *arguments: object,
        patches: Mapping[str, object] | None = None,
    ) -> None:
        """Start them; `patches` as for `Command`."""
        self._start(errors, patches or {}, launch, n, work, *arguments)


def latest_step(checkpoints: Path) -> int:
    """Return the step of the latest checkpoint in a folder, -1 if there is none."""
    names = [child.name for child in checkpoints.iterdir()] if checkpoints.is_dir() else []
    return max((int(name[5:]) for name in names if name.startswith("step-")), default=-1)
