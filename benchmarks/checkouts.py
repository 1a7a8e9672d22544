"""Measure whether one checkout trains a VAE faster or slower than another on the CPU, in blocks that take turns.

    git worktree add ../before COMMIT
    python benchmarks/checkouts.py ../before .        # 3.5 minutes on two cores

Each start runs both, each in a process of its own, and only one works at a time. So a machine whose speed drifts slows
both alike. A start by itself can be a tenth faster or slower all the time, so one start of each says little. The
order of the starts and of the blocks alternates. Prints images/s of a bare step and of the step of HandLatent-v0 for
each start (the median block), and the median ratio of the blocks' times, second over first. At the end it prints the
mean of these ratios over the starts, with its 95 % interval by Student's t. Both need the same installed packages.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np

from agents.figures.intervals import student

STEPS = 10  # in a block
WAYS = ("bare", "environment")
WORKER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import torch
import hand_env
assert hand_env.__file__.startswith(sys.argv[1]), hand_env.__file__
size, batch, steps = map(int, sys.argv[2:])
images = torch.randint(0, 256, (4 * batch, 3, size, size), dtype=torch.uint8)
env = hand_env.HandLatentEnv(images, batch_size=batch, epochs_per_episode=10_000)
env.reset(seed=0)
action = env.action_space.sample()
def bare():
    env.trainer.step()
    env.trainer.encode()
ways = {"bare": bare, "environment": lambda: env.step(action)}
for way in ways.values():
    way()
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(steps):
        ways[line.strip()]()
    print(time.perf_counter() - began, flush=True)
"""


class Worker:
    """A process that takes blocks of steps with the code of one checkout."""

    def __init__(self, checkout: Path, size: int, batch: int) -> None:
        """Start it, and wait until it is ready."""
        words = [sys.executable, "-c", WORKER, str(checkout.resolve()), str(size), str(batch), str(STEPS)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if (said := self._read()) != "ready":
            self.end()
            raise ValueError(
                f"{checkout} must be a checkout of this project whose hand_env can be imported, got {said!r}."
            )

    def block(self, way: str) -> float:
        """Return the seconds of a block."""
        asked = cast(IO[str], self.process.stdin)
        asked.write(f"{way}\n")
        asked.flush()
        return float(self._read())

    def end(self) -> None:
        """End the process."""
        self.process.communicate()

    def _read(self) -> str:
        return cast(IO[str], self.process.stdout).readline().strip()


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="folder of a checkout")
    parser.add_argument("second", type=Path, help="folder of another")
    parser.add_argument("--starts", type=int, default=5, help="at least 2, for an interval")
    parser.add_argument("--blocks", type=int, default=12, help="of each checkout in a start, for each way")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args(words)
    if args.starts < 2 or args.blocks < 1:
        parser.error(f"--starts must be at least 2 and --blocks at least 1, got {args.starts} and {args.blocks}.")
    ratios: dict[str, list[float]] = {way: [] for way in WAYS}
    for start in range(args.starts):
        for way, times in measure([args.first, args.second], start, args.blocks, args.size, args.batch).items():
            ratios[way].append(float(np.median(times[1] / times[0])))
            first, second = args.batch * STEPS / np.median(times, axis=1)
            print(f"start {start}, {way}: {first:.1f} and {second:.1f} images/s, {ratios[way][-1]:.3f}", flush=True)
    for way, found in ratios.items():
        mean = student(found)
        print(f"{way}: time of the second over the first {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})")


def measure(checkouts: Sequence[Path], start: int, blocks: int, size: int, batch: int) -> dict[str, np.ndarray]:
    """Return the seconds of all blocks for each way, (2, blocks) in the order of the checkouts."""
    turns = [0, 1] if start % 2 == 0 else [1, 0]
    workers = {number: Worker(checkouts[number], size, batch) for number in turns}
    times = {way: np.zeros((2, blocks)) for way in WAYS}
    for way in WAYS:
        for block in range(blocks):
            for number in turns if block % 2 == 0 else turns[::-1]:
                times[way][number, block] = workers[number].block(way)
    for worker in workers.values():
        worker.end()
    return times


if __name__ == "__main__":
    main()
