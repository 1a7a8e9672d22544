"""Measure how long it takes to draw hands, with and without refinement.

Run `python benchmarks/generate.py` for the packaged weights, or add the folder of a finished run. It times
`handlatent generate --n 20` without the start of Python: drawing, correcting, and writing the pictures.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from agents.commands.generate import generate
from agents.draw.settings import GenerateArgs

HANDS, TURNS = 20, 5


def seconds(run: Path | None, refine: bool, folder: Path) -> list[float]:
    """Time drawing `HANDS` hands `TURNS` times, after one to warm up; return the seconds of each."""
    times = []
    for turn in range(TURNS + 1):
        start = time.perf_counter()
        generate(GenerateArgs(run, n=HANDS, seed=turn, refine=refine, out=folder / f"{refine}-{turn}"))
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> None:
    """Print a line without refinement and a line with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a finished run's folder")
    run = parser.parse_args().run
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads; {HANDS} hands, median of {TURNS}")
    with tempfile.TemporaryDirectory() as folder:
        for refine in (False, True):
            times = seconds(run, refine, Path(folder))
            words = "with" if refine else "without"
            print(f"{words:7} refinement: {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
