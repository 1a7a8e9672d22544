"""Show what bounds a VAE's training step: time each of its convolutions by itself, as fast as cuDNN has it.

    python benchmarks/convolutions.py [--device cuda] [--size 64] [--width large] [--batch 512]

A step of `vae.Trainer` spends its floating-point operations in convolutions: forward, the gradient of the input, and
the gradient of the weights. This times every one of them alone, in the step's own precision and memory format, with the
algorithm that cuDNN finds to be fastest. Their sum is less than any step can take that uses these kernels, even if all
else cost nothing: activations, the optimiser, augmentation. So it bounds the share of a matrix product's speed that
the step can reach.

Beside it stands what the card itself would allow. A convolution takes at least its operations at the speed of a matrix
product. It also takes at least the time to read its inputs and write its output once.

What lies between two convolutions takes time too, at least that of a copy, if it passes through the card's memory.
Forward, the output of each convolution is read, and the input of the next is written. Backward, the gradient of that
input and the kept output are read, and the gradient of the output is written. So five numbers move for each number that
a convolution puts out. (Additions of residual blocks move other numbers; their sum is the same within 1 %.) For each
weight, nine numbers move: its gradient is read, and the weight, both moments of Adam and the averaged weight are read
and written. The time of all convolutions and that of these moves bound a step, however well the rest is fused.

Prints a line for each kind of convolution, the slowest first. It says how often the kind occurs in a step, its time,
its share of the matrix product's speed, and the share that the card would allow. On a GPU, some convolutions have
channels of zeros (`vae.model.AlignedConv2d`). Their lines count these, and the sums below do not.
"""

import argparse
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from operations import of_training, per_second
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from agents.figures.markdown import markdown_table
from vae import VAE, VAEConfig, build_vae
from vae.device import reduced_precision, resolve_device
from vae.model import count_parameters

ROUNDS = 9
SHOWN = 16
BETWEEN, FOR_A_WEIGHT = 5, 9  # numbers that move for each number of a convolution's output, and for each weight
COPIED = {"cpu": 2**24, "cuda": 2**30}  # bytes, to measure how fast memory is read and written
aten: Any = torch.ops.aten


@dataclass(frozen=True)
class Convolution:
    """One kind of convolution.

    Attributes:
        kind: "forward", "gradient of input" or "gradient of weights".
        image: Channels, height and width of its input.
        weight: Shape of its weights.
        rest: Stride, padding, dilation, whether it is transposed, output padding and groups.
    """

    kind: str
    image: tuple[int, ...]
    weight: tuple[int, ...]
    rest: tuple[Any, ...]

    @property
    def outputs(self) -> int:
        """Numbers that the forward convolution of one picture writes."""
        stride, padding, dilation, *_ = self.rest
        sides: list[int] = [
            (side + 2 * padding[axis] - dilation[axis] * (self.weight[2 + axis] - 1) - 1) // stride[axis] + 1
            for axis, side in enumerate(self.image[1:])
        ]
        return self.weight[0] * prod(sides)

    @property
    def operations(self) -> int:
        """Floating-point operations for one picture, the same for all three kinds."""
        return 2 * self.outputs * prod(self.weight[1:])


class Seen(TorchDispatchMode):
    """Count the convolutions that run inside `with`."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.found: Counter[Convolution] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note a convolution, and run it."""
        if func.overloadpacket is aten.convolution:
            self._note("forward", args[0], args[1], args[3:])
        if func.overloadpacket is aten.convolution_backward:
            wanted = args[-1]
            for kind, is_wanted in zip(("gradient of input", "gradient of weights"), wanted, strict=False):
                if is_wanted:
                    self._note(kind, args[1], args[2], args[4:-1])
        return func(*args, **(kwargs or {}))

    def _note(self, kind: str, image: Tensor, weight: Tensor, rest: Any) -> None:
        plain = tuple(tuple(part) if isinstance(part, list | tuple) else part for part in rest)
        self.found[Convolution(kind, tuple(image.shape[1:]), tuple(weight.shape), plain)] += 1


def convolutions_of(vae: VAE) -> Counter[Convolution]:
    """Find the convolutions of one training step."""
    device = vae.log_variance.device
    image = torch.zeros(1, 3, vae.size, vae.size, device=device)
    seen = Seen()
    with seen, reduced_precision(device), torch.enable_grad():
        mean, log_var = vae.encode(image)
        torch.autograd.backward(vae.decode(mean).sum() + log_var.sum())
    return seen.found


class Bench:
    """Time convolutions on a device, for one number of pictures."""

    def __init__(self, device: str, batch: int) -> None:
        """Measure what the device does at best."""
        self.device, self.batch = device, batch
        self.dtype = torch.bfloat16 if device != "cpu" else torch.float32
        torch.backends.cudnn.benchmark = True
        self.product, self.copy = per_second(device), self._copied_per_second()

    def seconds(self, case: Convolution) -> float:
        """Return the median time of one convolution of the batch."""
        image = self._random(self.batch, *case.image)
        weight = self._random(*case.weight)
        if case.kind == "forward":
            return self._timed(lambda: aten.convolution(image, weight, None, *case.rest))
        above = self._random(*aten.convolution(image, weight, None, *case.rest).shape)
        wanted = [case.kind == "gradient of input", case.kind == "gradient of weights", False]
        return self._timed(lambda: aten.convolution_backward(above, image, weight, [0], *case.rest, wanted))

    def operations(self, case: Convolution) -> float:
        """Count the floating-point operations of one convolution of the batch."""
        return self.batch * case.operations

    def allowed(self, case: Convolution) -> float:
        """Return the seconds that it takes at least, by its operations and by what it must read and write."""
        numbers = self.batch * (prod(case.image) + case.outputs) + prod(case.weight)
        size = torch.finfo(self.dtype).bits // 8
        return max(self.operations(case) / self.product, size * numbers / self.copy)

    def between(self, vae: VAE, found: Counter[Convolution]) -> float:
        """Return the seconds that all else takes at least: activations between convolutions, and the optimiser."""
        outputs = sum(times * case.outputs for case, times in found.items() if case.kind == "forward")
        size = torch.finfo(self.dtype).bits // 8
        moved = size * BETWEEN * self.batch * outputs + 4 * FOR_A_WEIGHT * count_parameters(vae)
        return moved / self.copy

    def _random(self, *shape: int) -> Tensor:
        tensor = torch.randn(*shape, device=self.device, dtype=self.dtype)
        return tensor.to(memory_format=torch.channels_last)

    def _copied_per_second(self) -> float:
        """Return the bytes that a copy reads and writes in a second."""
        source = torch.zeros(COPIED[self.device], dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2 * source.numel() / self._timed(lambda: target.copy_(source))

    def _timed(self, run: Any) -> float:
        repeats = 1 if self.device == "cpu" else 10
        found = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            if self.device != "cpu":
                torch.cuda.synchronize()
            found.append((time.perf_counter() - start) / repeats)
        return statistics.median(found[1:])  # the first one chose the algorithm


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="'auto', 'cpu' or 'cuda'")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--width", default="large")
    parser.add_argument("--batch", type=int, default=512)
    args = parser.parse_args()
    device = resolve_device(args.device)
    vae = build_vae(VAEConfig(args.size, 300, args.width), seed=0)
    operations = args.batch * sum(times * case.operations for case, times in convolutions_of(vae).items())
    vae = vae.to(device)
    bench = Bench(device, args.batch)
    rows, total, least, found = [], 0.0, 0.0, convolutions_of(vae)
    for case, times in found.items():
        seconds, needed = bench.seconds(case), bench.operations(case)
        total, least = total + times * seconds, least + times * bench.allowed(case)
        share, allowed = needed / seconds / bench.product, needed / bench.allowed(case) / bench.product
        shape = f"{case.image[0]} to {case.weight[0]} channels, {case.image[1]} x {case.image[2]}"
        rows.append((times * seconds, [case.kind, shape, str(times), f"{1e3 * times * seconds:.3f}"]))
        rows[-1][1].extend([f"{share:.0%}", f"{allowed:.0%}"])
    rows.sort(key=lambda row: -row[0])
    head = ["convolution", "shape", "times", "ms a step", "share of a product", "the card allows"]
    machine = torch.cuda.get_device_name(0) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(
        f"{machine}: a matrix product does {bench.product / 1e12:.3g} TFLOP/s, a copy {bench.copy / 1e12:.3g} TB/s; "
        f"{args.size} pixels, {args.width}, batch {args.batch}\n"
    )
    print(markdown_table(head, [cells for _, cells in rows[:SHOWN]]))
    print(
        f"\nAll convolutions of a step: {operations / 1e12:.3g} TFLOP in {1e3 * total:.2f} ms, "
        f"{operations / total / bench.product:.0%} of the product's speed; the card allows {1e3 * least:.2f} ms, "
        f"{operations / least / bench.product:.0%}."
    )
    rest, operations = bench.between(vae, found), args.batch * of_training(vae)  # linear layers included
    print(
        f"All between them takes {1e3 * rest:.2f} ms at the speed of a copy, so a step takes at least "
        f"{1e3 * (total + rest):.2f} ms, {operations / (total + rest) / bench.product:.0%} of the product's speed."
    )


if __name__ == "__main__":
    main()
