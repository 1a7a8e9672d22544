"""Measure what the environment costs: a step of HandLatent-v0, in both forms, compared with a bare VAE step.

    python benchmarks/step.py [--device cuda] [--size 64] [--width large] [--batch 8 64 512] [--compiled]

All train the same VAE, in turns, in blocks of up to ten steps, so that a noisy machine slows all equally. On a GPU, all
blocks have ten, and the vector form is also measured with observations and actions that are tensors there. Prints the
images/s of each (the median block; in the vector form an image is a row). Also prints the median of the blocks' ratios
to the bare step, with its quartiles. The ratio should be at most 1.10 in the single form and 1.15 in the vector form.
One H100, at 64 pixels with the large model, should reach at least 12,000 images/s.

It counts the floating-point operations of a picture there and back, and prints how many the step does per second,
beside those of a large matrix product. On a GPU, the step is a CUDA graph; `--compiled` lets torch.compile join small
kernels first. `--profile` prints the kernels that take longest, and the time of all by kind.
"""

import argparse
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from operations import of_training, per_second
from torch.profiler import ProfilerActivity, profile

from hand_env import HandLatentVectorEnv
from vae.device import resolve_device
from vae.model import count_parameters

KINDS = {  # of kernels, by parts of their names; the first kind that fits counts
    "fused sums": ("triton_red", "triton_per"),
    "fused activations, shuffles, augmentation": ("triton_poi",),
    "convolutions, matrix products": ("convolution", "xmma", "cutlass", "cudnn", "gemm", "nvjet", "splitK", "addmm"),
    "optimiser, averages, copies, all else": ("",),
}
IN_A_BLOCK = 640  # images on a CPU, but at most ten steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", default="small")
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    for batch in args.batch:
        measure(batch, args, resolve_device(args.device))


def measure(batch: int, args: argparse.Namespace, device: str) -> None:
    """Measure at one batch size, and print."""
    size, blocks = args.size, args.blocks
    images = torch.randint(0, 256, (max(1024, batch), 3, size, size), dtype=torch.uint8)
    training = {"compiled": args.compiled}
    rows = HandLatentVectorEnv(
        batch, images=images, width=args.width, epochs_per_episode=10_000, training=training, device=device
    )
    rows.reset(seed=0)
    single, trainer = rows.env, rows.env.trainer
    action, steps = single.action_space.sample(), max(1, min(10, IN_A_BLOCK // batch)) if device == "cpu" else 10

    def bare_step() -> None:
        trainer.step()
        trainer.encode()  # of the next minibatch: no extra work, but at the time when the environment does it

    ways: dict[str, Callable[[], object]] = {
        "bare VAE step": bare_step,
        "single form": lambda: single.step(action),
        "vector form": lambda: rows.step(action),
    }
    if device != "cpu":
        given = torch.from_numpy(action).to(device)

        def with_tensors() -> None:
            single.tensors = True
            rows.step(given)
            single.tensors = False

        ways["vector form, tensors"] = with_tensors
    times: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(blocks + 2):
        turns = list(ways)
        for name in turns[block % len(turns) :] + turns[: block % len(turns)]:
            times[name].append(timed(ways[name], steps, device))
    machine = torch.cuda.get_device_name(0) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    needed, peak = of_training(trainer.averaged_vae.requires_grad_(True)), per_second(device)
    print(
        f"{machine}: {size} pixels, {count_parameters(trainer.vae) / 1e6:.2f} M parameters, batch {batch}, "
        f"{needed / 1e9:.2f} GFLOP a picture; a matrix product does {peak / 1e12:.3g} TFLOP/s"
    )
    for name, seconds in times.items():
        ratios = np.array(seconds[2:]) / np.array(times["bare VAE step"][2:])  # the first two warmed up
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        rate = batch * steps / np.median(seconds[2:])
        print(
            f"{name:>20}: {rate:8.0f} images/s, {rate * needed / 1e12:.3g} TFLOP/s, {rate * needed / peak:.0%} of the "
            f"product's; ratio {middle:.3f} (quartiles {low:.3f} to {high:.3f}, {blocks} blocks of {steps})"
        )
    if args.profile:
        with profile(activities=[ProfilerActivity.CPU if device == "cpu" else ProfilerActivity.CUDA]) as seen:
            timed(bare_step, steps, device)
        order = f"self_{'cpu' if device == 'cpu' else 'device'}_time_total"
        print(seen.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=90))
        kernels = [(each.key, float(getattr(each, order)), each.count) for each in seen.key_averages()]
        for kind, (microseconds, count) in by_kind(kernels).items():
            print(f"{kind:>42}: {microseconds / steps / 1e3:6.2f} ms a step, {count / steps:.0f} kernels")


def by_kind(kernels: Iterable[tuple[str, float, int]]) -> dict[str, tuple[float, int]]:
    """Sum the times and counts of kernels, given with their names, by kind; those that took no time do not count."""
    sums = dict.fromkeys(KINDS, (0.0, 0))
    for name, taken, count in kernels:
        kind = next(kind for kind, parts in KINDS.items() if any(part in name for part in parts))
        if taken > 0:
            sums[kind] = sums[kind][0] + taken, sums[kind][1] + count
    return sums


def timed(step: Callable[[], object], steps: int, device: str) -> float:
    """Time some steps, in seconds."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
