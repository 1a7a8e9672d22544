"""Measure what one thread for each process gains if several share a machine: `python benchmarks/threads.py`.

Each process trains HandLatent-v0's VAE with zero actions for a while. All of them together run once with torch's own
number of threads, and once with OMP_NUM_THREADS=1. Takes 2 times --seconds, and the time to import torch.
"""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from typing import Any

import gymnasium as gym
import numpy as np
import torch

SETTINGS: dict[str, Any] = {"n_images": 64, "latent_dim": 16, "batch_size": 16, "epochs_per_episode": 1_000_000}


def steps(seconds: float) -> int:
    """Count the steps of one environment within a time, after ten that warm it up."""
    env = gym.make("hand_env:HandLatent-v0", **SETTINGS)
    env.reset(seed=0)
    zeros = np.zeros(env.action_space.shape or (), np.float32)
    for _ in range(10):
        env.step(zeros)
    end, done = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        env.step(zeros)
        done += 1
    return done


def together(processes: int, seconds: float, threads: int | None) -> int:
    """Return the steps of several processes side by side."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    words = [sys.executable, __file__, "--seconds", str(seconds), "--one"]
    running = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(int(process.communicate()[0]) for process in running)


def main() -> None:
    """Print the steps per second of all processes together, with torch's own number of threads and with one."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1), help="default: 2 for each core")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--one", action="store_true", help="be one of these processes")
    args = parser.parse_args()
    if args.one:
        print(steps(args.seconds))
        return
    print(f"{args.processes} processes on {os.cpu_count()} cores, torch {torch.__version__}")
    many, one = (together(args.processes, args.seconds, threads) / args.seconds for threads in (None, 1))
    print(f"torch's own threads: {many:.1f} steps/s; one thread a process: {one:.1f} steps/s; {one / many:.1f} times")


if __name__ == "__main__":
    main()
