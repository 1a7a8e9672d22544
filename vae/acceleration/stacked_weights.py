"""Keep the weights of K VAEs as the rows of one tensor, so that one optimiser step updates all of them."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vae.model import VAE, Decoder, Encoder
from vae.optim import adamw

_MOMENTS = ("exp_avg", "exp_avg_sq")


class StackedWeights:
    """Hold the weights, averaged weights and optimiser moments of K VAEs as (K, P) tensors, P weights each.

    The VAEs, averages and optimisers that were given keep views of their row, and the VAEs views of their buffers. So
    they are measured, drawn from and saved as before. A tensor of four dimensions lies in a row in the channels-last
    order, which convolutions on a GPU prefer.

    On a GPU, `round_leaves` rounds the weights of a lone VAE's `Encoder` and `Decoder` to bfloat16 in one call.
    Autocast would round each by itself, and turn each gradient back by itself, to the same numbers. Other networks may
    use their weights in other ways, so theirs stay as they are.

    Attributes:
        weights: (K, P) float32, the trained weights.
        averaged: (K, P) float32, their exponential moving averages.
        leaves: The weights by name, (K, ...) each, that gradients are computed for: views of `weights`, or rounded
            copies.
        constants: Tensors that are not trained by name, (K, ...) each, but for `log_variance`.
        log_variance: (K,) float32, natural log of the pixels' variance.
        optimizer: AdamW over `weights`.
        rate: () float32 tensor on the device, the learning rate.
    """

    def __init__(
        self,
        vaes: Sequence[VAE],
        averages: Sequence[AveragedModel],
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        rounded: bool | None = None,
    ) -> None:
        """Copy everything into the rows.

        Args:
            vaes: K models of one architecture, on one device.
            averages: Their averaged weights.
            optimizers: Their AdamW optimisers, new or used; all have done the same number of steps.
            rounded: Whether `leaves` of `Encoder` and `Decoder` are rounded, for steps under autocast; None: on a GPU,
                if K is 1.
        """
        named = [dict(vae.named_parameters()) for vae in vaes]
        averaged = [dict(average.module.named_parameters()) for average in averages]
        names = [name for name, parameter in named[0].items() if parameter.requires_grad]
        self.shapes = [named[0][name].shape for name in names]
        trained = [[row[name] for name in names] for row in named]
        self.weights = self._move(trained)
        self.averaged = self._move([[row[name] for name in names] for row in averaged])
        views = dict(zip(names, self.split(self.weights), strict=True))
        rounded = self.weights.is_cuda and len(vaes) == 1 if rounded is None else rounded
        chosen = [name for name in names if name in _rounded_names(vaes[0])] if rounded else []
        self._exact = [views[name] for name in chosen]
        self._rounded = [torch.empty_like(view, dtype=torch.bfloat16) for view in self._exact]
        views.update(zip(chosen, self._rounded, strict=True))
        self.leaves = {name: view.detach().requires_grad_() for name, view in views.items()}
        self.log_variance = _share(vaes, "log_variance")
        self._averaged_log_variance = _share([average.module for average in averages], "log_variance")
        self._averages_done = _share(averages, "n_averaged")
        rest = [{**row, **dict(vae.named_buffers())} for row, vae in zip(named, vaes, strict=True)]
        kept = [name for name in rest[0] if name not in self.leaves and name != "log_variance"]
        self.constants = {name: torch.stack([row[name].detach() for row in rest]) for name in kept}
        self._share_buffers(vaes, [average.module for average in averages])
        self._gradients: list[Tensor] = []  # views of the weights' gradient, which is allocated when it is first taken
        self.rate = torch.zeros((), device=self.weights.device)
        self.optimizer = adamw([self.weights], self.rate)
        self._share_moments(optimizers, trained)

    def holds(self, optimizers: Sequence[torch.optim.Optimizer]) -> bool:
        """Whether the optimisers share the rows; those of trainers that load a state or take a step alone do not."""
        steps = self.optimizer.state[self.weights]["step"]
        return all(state["step"] is steps for own in optimizers for state in own.state.values())

    @torch.no_grad()
    def average(self, blend: Tensor) -> None:
        """Move the averaged weights towards the weights by a share `blend`, () float32 in [0, 1]."""
        self.averaged.lerp_(self.weights, blend)
        self._averaged_log_variance.copy_(self.log_variance)
        self._averages_done.add_(1)
        for averaged, buffer in self._averaged_buffers:  # as AveragedModel does
            averaged.copy_(buffer)

    @torch.no_grad()
    def round_leaves(self) -> None:
        """Copy the weights to those of `leaves` that are rounded; before each use of `leaves`."""
        if self._rounded:
            torch._foreach_copy_(self._rounded, self._exact)

    @torch.no_grad()
    def take_gradients(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Copy one (K, ...) tensor for each of `leaves` to the gradient of `weights`, and return that, (K, P).

        It keeps its place in memory, as CUDA graphs need it. None, for a weight that the loss does not use, leaves 0.
        """
        if self.weights.grad is None:
            self.weights.grad = torch.zeros_like(self.weights)
            self._gradients = self.split(self.weights.grad)
        pairs = list(zip(self._gradients, gradients, strict=True))
        used = [(own, given) for own, given in pairs if given is not None]
        torch._foreach_copy_([own for own, _ in used], [given for _, given in used])
        return self.weights.grad

    @torch.no_grad()
    def update(self, gradients: Sequence[Tensor | None]) -> None:
        """Take the optimiser's step with the gradient of `weights`; a weight whose own gradient is None stays as it is.

        AdamW would let it decay. In a trainer without a stack it does not see such a weight.
        """
        unused = [number for number, given in enumerate(gradients) if given is None]
        views = self.split(self.weights) if unused else []
        before = [views[number].clone() for number in unused]
        self.optimizer.step()
        for number, kept in zip(unused, before, strict=True):
            views[number].copy_(kept)

    def split(self, rows: Tensor) -> list[Tensor]:
        """View (K, P) rows as one (K, ...) tensor for each weight."""
        parts = torch.split(rows, [shape.numel() for shape in self.shapes], dim=1)
        return [_unflatten(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """Copy one (K, ...) tensor for each weight to (K, P) rows: the inverse of `split`."""
        return torch.cat([_flatten(tensor) for tensor in tensors], dim=1)

    def _move(self, parameters: list[list[nn.Parameter]]) -> Tensor:
        rows = torch.cat([self.join([p.detach()[None] for p in row]) for row in parameters])  # (K, P)
        for row, own in zip(torch.split(rows, 1), parameters, strict=True):
            for parameter, view in zip(own, self.split(row), strict=True):
                parameter.data = view[0]
        return rows

    def _share_buffers(self, vaes: Sequence[nn.Module], averages: Sequence[nn.Module]) -> None:
        """Let the VAEs keep views of `constants`, and the averages views of their copies, where these are buffers."""
        self._averaged_buffers: list[tuple[Tensor, Tensor]] = []  # of the averages and of the VAEs, (K, ...) each
        of_vaes, of_averages = ([dict(module.named_buffers()) for module in modules] for modules in (vaes, averages))
        for name in of_vaes[0].keys() & self.constants.keys():
            rows = torch.stack([own[name] for own in of_averages])
            self._averaged_buffers.append((rows, self.constants[name]))
            for stacked, modules in ((rows, of_averages), (self.constants[name], of_vaes)):
                for row, own in zip(stacked.unbind(), modules, strict=True):
                    own[name].data = row  # and not the module's attribute, which another module may share

    def _share_moments(self, optimizers: Sequence[torch.optim.Optimizer], trained: list[list[nn.Parameter]]) -> None:
        states = [
            [optimizer.state.get(parameter, {}) for parameter in own]
            for optimizer, own in zip(optimizers, trained, strict=True)
        ]  # empty before the first step
        counts = (state["step"] for state in states[0] if "step" in state)  # an unused weight has none
        shared = {"step": next(counts, self.rate).detach().clone()}
        for name in _MOMENTS:
            rows = [
                self.join([state.get(name, torch.zeros_like(p))[None] for state, p in zip(row, own, strict=True)])
                for row, own in zip(states, trained, strict=True)
            ]
            shared[name] = torch.cat(rows).detach()  # (K, P)
        self.optimizer.state[self.weights] = shared
        first, second = (self.split(shared[name]) for name in _MOMENTS)
        for row, (optimizer, own) in enumerate(zip(optimizers, trained, strict=True)):
            for parameter, mean, square in zip(own, first, second, strict=True):
                state = {"step": shared["step"], "exp_avg": mean[row], "exp_avg_sq": square[row]}
                optimizer.state[parameter] = state


def unstacked(
    state: dict[str, Any], modules: Sequence[nn.Module], optimizer: torch.optim.Optimizer, kept: Tensor
) -> dict[str, Any]:
    """Return a trainer's state without the rows of a stack, which `pickle` would write whole for each view of them.

    Args:
        state: What is to be written, with the modules and the optimiser in it.
        modules: The VAE and its averaged weights.
        optimizer: Over the VAE's weights.
        kept: The pictures, which are not copied.

    Returns:
        The state, or a copy of it whose tensors have memory of their own if some are views.
    """
    parameters = [parameter for module in modules for parameter in module.parameters()]
    if all(parameter.untyped_storage().nbytes() == parameter.nbytes for parameter in parameters):
        return state
    memo: dict[int, Any] = {id(kept): kept}
    memo |= {id(own): nn.Parameter(own.detach().clone(), own.requires_grad) for own in parameters}
    moments = [tensor for own in optimizer.state.values() for tensor in own.values()]
    buffers = [buffer for module in modules for buffer in module.buffers()]
    memo |= {id(tensor): tensor.clone() for tensor in (*buffers, *moments)}
    try:
        return copy.deepcopy(state, memo)
    except RuntimeError:  # a user's VAE keeps a tensor with a graph, which pickle writes and deepcopy refuses
        return state


def copied(state: Any) -> Any:
    """Copy nested dicts and lists; a tensor alone, not the storage that it may share with other VAEs."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    return [copied(value) for value in state] if isinstance(state, list) else state


def _rounded_names(vae: VAE) -> set[str]:
    """Return the names of weights that convolutions and linear layers use once each, under autocast."""
    halves = {"encoder": vae.encoder, "decoder": vae.decoder}
    own = {name: half for name, half in halves.items() if type(half) in (Encoder, Decoder)}
    return {f"{half}.{name}" for half, module in own.items() for name, _ in module.named_parameters()}


def _share(modules: Sequence[nn.Module], name: str) -> Tensor:
    """Stack a buffer of each module, (K,), and let the modules keep views."""
    rows = torch.stack([getattr(module, name) for module in modules])
    for module, row in zip(modules, rows.unbind(), strict=True):
        setattr(module, name, row)
    return rows


def _flatten(tensor: Tensor) -> Tensor:
    """Flatten (K, ...) to (K, n); (K, out, in, height, width) in the channels-last order."""
    n_values = tensor.shape[1:].numel()
    return (tensor.permute(0, 1, 3, 4, 2) if tensor.ndim == 5 else tensor).reshape(len(tensor), n_values)


def _unflatten(rows: Tensor, shape: torch.Size) -> Tensor:
    """View (K, n) as (K, *shape): the inverse of `_flatten`."""
    if len(shape) != 4:
        return rows.view(len(rows), *shape)
    out, into, height, width = shape
    return rows.view(len(rows), out, height, width, into).permute(0, 1, 4, 2, 3)
