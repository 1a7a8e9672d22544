"""Measure the steps/s of the learned prior's training on a GPU: as a CUDA graph, and launched kernel by kernel.

Run `python benchmarks/flow.py`. Both fit a flow of the usual size to the same random latents of 300 numbers, in turns.
Prints steps/s (the median turn), the median of the turns' ratios with its quartiles, and how much the last losses on
held-out latents differ.
"""

import argparse
import statistics
import time
from functools import partial
from unittest.mock import patch

import torch
from torch import Generator, Tensor

from vae.acceleration.cuda_graphs import GraphedSteps
from vae.sampling import flow_fit

LATENTS, HELD_OUT = 60_000, 500


def fit(rows: Tensor, steps: int, graphed: bool) -> tuple[float, float]:
    """Return the seconds of a fit, and its last loss on held-out latents."""

    def some(n: int, generator: Generator) -> Tensor:
        return rows[torch.randint(0, LATENTS, (n,), generator=generator, device="cuda")]

    torch.cuda.synchronize()
    began = time.perf_counter()
    with patch.object(flow_fit, "GraphedSteps", partial(GraphedSteps, graphed=graphed)):
        _, log = flow_fit.fit_flow(some, rows[LATENTS:], steps=steps)
    torch.cuda.synchronize()
    return time.perf_counter() - began, log[-1]["held_out"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="of a turn")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/flow.py needs a GPU, and torch finds none. Run it on a machine that has one.")
    rows = torch.randn(LATENTS + HELD_OUT, 300, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    turns = [[fit(rows, args.steps, graphed) for graphed in (True, False)] for _ in range(args.turns + 1)][1:]
    rates = [args.steps / statistics.median(turn[way][0] for turn in turns) for way in (0, 1)]
    low, middle, high = statistics.quantiles([eager[0] / fast[0] for fast, eager in turns], n=4)
    apart = max(abs(fast[1] / eager[1] - 1) for fast, eager in turns)
    print(
        f"{torch.cuda.get_device_name()}: graphed {rates[0]:.0f} steps/s, eager {rates[1]:.0f}, ratio {middle:.2f} "
        f"(quartiles {low:.2f} to {high:.2f}, {args.turns} turns of {args.steps}); "
        f"held-out losses differ by {apart:.1%}"
    )


if __name__ == "__main__":
    main()
