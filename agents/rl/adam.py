"""Adam's steps for `FastSAC`: the same numbers as torch.optim.Adam, with fewer calls around them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import optimizer as torch_optimizer

PART = 2**17  # numbers: half a megabyte
_PLAIN = ("weight_decay", "amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused")


class AdamSteps:
    """Take an optimiser's steps down a loss; `write_counts` afterwards.

    If the optimiser is a plain `torch.optim.Adam` on a CPU, its weights and moments change as in its own `step`, bit
    for bit. The counts of steps in its state are written by `write_counts` alone. Torch's way takes a fifth of an
    update of small networks, most of it around the arithmetic. Any other optimiser steps itself, and so does one that
    `is_watched`. Frozen weights, which require no gradient, do not move.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at the optimiser's settings and state; nothing of them may change from outside before `write_counts`.

        Args:
            optimizer: Steps down the losses.
        """
        self.optimizer = optimizer
        weights: list[Tensor] = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.weights = [weight for weight in weights if weight.requires_grad]
        for weight in weights if len(self.weights) < len(weights) else ():
            weight.grad = None  # a frozen one's would move it
        self._parts = _parts(self.weights)
        self._read()

    def step(self, loss: Tensor) -> None:
        """Take one step.

        Args:
            loss: (), depends on at least one of the weights, unless all are frozen.
        """
        found = torch.autograd.grad(loss, self.weights, allow_unused=True) if self.weights else ()
        gradients = [_laid_out(gradient, weight) for gradient, weight in zip(found, self.weights, strict=True)]
        if self._count is None or any(gradient is None for gradient in gradients):
            self._leave_to_the_optimizer(gradients)
            return
        self._count += 1
        for part in self._parts:
            self._apply(gradients[part], part)

    def write_counts(self) -> None:
        """Write the count of steps to the optimiser's state."""
        if self._count is not None:
            for step in self._steps:
                step.fill_(self._count)

    @torch.no_grad()
    def _apply(self, gradients: list[Any], part: slice) -> None:
        assert self._count is not None, "the optimiser has a state"
        group, means, squares = self.optimizer.param_groups[0], self._means[part], self._squares[part]
        (beta1, beta2), rate = group["betas"], group["lr"]
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        deviations = torch._foreach_sqrt(squares)
        torch._foreach_div_(deviations, (1 - beta2**self._count) ** 0.5)
        torch._foreach_add_(deviations, group["eps"])
        torch._foreach_addcdiv_(self.weights[part], means, deviations, -rate / (1 - beta1**self._count))

    def _leave_to_the_optimizer(self, gradients: Sequence[Tensor | None]) -> None:
        self.write_counts()
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._read()

    def _read(self) -> None:
        """Find the moments and the count of steps; the count is None if the optimiser must step itself."""
        self._count: int | None = None
        states = [self.optimizer.state.get(weight, {}) for weight in self.weights]
        if not _is_plain(self.optimizer) or not all(states):
            return  # the optimiser's first step makes the states
        self._steps = [state["step"] for state in states]
        counts = {int(step) for step in self._steps}
        if len(counts) == 1:
            self._count = counts.pop()
            self._means = [state["exp_avg"] for state in states]
            self._squares = [state["exp_avg_sq"] for state in states]


def is_capturable(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether `make_capturable` can prepare an optimiser."""
    return type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)


def is_watched(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether other code runs at its steps: a hook, or a `step` of its own, as a scheduler's."""
    hooks = (
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        torch_optimizer._global_optimizer_pre_hooks,
        torch_optimizer._global_optimizer_post_hooks,
    )
    return any(hooks) or "step" in vars(optimizer)


def make_capturable(optimizer: torch.optim.Optimizer, rate: Tensor) -> None:
    """Let an Adam read its learning rate and its counts of steps from the GPU, so that a CUDA graph can hold its steps.

    Args:
        optimizer: Its weights lie on the GPU.
        rate: () float32 there; takes the optimiser's learning rate, and is it from now on.
    """
    rate.fill_(optimizer.param_groups[0]["lr"])
    for group in optimizer.param_groups:
        group.update(lr=rate, capturable=True, fused=True, foreach=False)
    for weight, state in optimizer.state.items():
        state["step"] = state["step"].to(weight.device, torch.float32)


def as_stock(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Return an optimiser's state dict as it would be without `make_capturable`, for a file that any machine reads."""
    if not any(group.get("capturable") for group in state["param_groups"]):
        return state
    own = {name: optimizer.defaults[name] for name in ("capturable", "fused", "foreach")}
    return {
        "state": {place: {**each, "step": each["step"].cpu()} for place, each in state["state"].items()},
        "param_groups": [{**group, **own, "lr": float(group["lr"])} for group in state["param_groups"]],
    }


def _is_plain(optimizer: torch.optim.Optimizer) -> bool:
    groups = optimizer.param_groups
    return (
        type(optimizer) is torch.optim.Adam
        and not is_watched(optimizer)
        and len(groups) == 1
        and not any(groups[0].get(name) for name in _PLAIN)
        and not any(isinstance(number, Tensor) for number in (groups[0]["lr"], *groups[0]["betas"]))
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in groups[0]["params"])
    )


def _parts(weights: Sequence[Tensor]) -> list[slice]:
    """Split weights into runs of at most `PART` numbers, or of one weight: few calls, and little memory in between."""
    parts, start, numbers = [], 0, 0
    for place, weight in enumerate(weights):
        if place > start and numbers + weight.numel() > PART:
            parts.append(slice(start, place))
            start, numbers = place, 0
        numbers += weight.numel()
    return [*parts, slice(start, len(weights))]


def _laid_out(gradient: Tensor | None, weight: Tensor) -> Tensor | None:
    """Return a gradient in its weight's memory order, as `backward` stores it.

    In another order, torch's loops round some numbers differently, and its fused Adam for a CPU takes the wrong ones.
    """
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight, requires_grad=False).copy_(gradient)
