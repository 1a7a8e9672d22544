"""Sample and score squashed actions of tens of thousands of numbers, row by row, in few passes over memory."""

import math
from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-6  # as in Stable-Baselines3: keeps the logarithm finite where tanh rounds to 1
PART_NUMBERS = 2**18  # actions worked on at a time: a megabyte stays in a core's cache


def sample_and_score(
    hidden: Tensor, weight: Tensor, bias: Tensor, row_log_std: Tensor, dimension_log_std: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw tanh-squashed Gaussian actions whose mean is linear in `hidden`, and give their log-probabilities.

    The same as Stable-Baselines3's `SquashedDiagGaussianDistribution` of these means and deviations, except that the
    noise of half of the samples mirrors that of the other half (antithetic sampling): each sample has its exact
    distribution, so that means over the batch, which is what losses are, stay unbiased, at half of the random numbers.
    With 64 rows of 300 numbers the parent's forty passes over memory take longer than all of a small network.

    Args:
        hidden: (batch, row, hidden), what the network says of each row.
        weight: (dimension, hidden), of the layer that makes the means before squashing.
        bias: (dimension,), of the same layer.
        row_log_std: (batch, row, 1), one part of the natural log of the standard deviations before squashing.
        dimension_log_std: (dimension,), the other part: they are added.

    Returns:
        (batch, row x dimension) in [-1, 1], and (batch,), nats, summed over the action; gradients flow through both.
    """
    sample: Any = _SampleAndScore.apply
    actions, log_probs = sample(hidden, weight, bias, row_log_std, dimension_log_std, torch.is_grad_enabled())
    return actions.flatten(1), log_probs


class _SampleAndScore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        row_log_std: Tensor,
        dimension_log_std: Tensor,
        learn: bool,
    ) -> tuple[Tensor, Tensor]:
        batch, rows, _ = hidden.shape
        actions, log_probs = hidden.new_empty(batch, rows, len(bias)), hidden.new_empty(batch)
        parts = _parts(actions)
        noises = torch.empty_like(actions if learn else actions[parts[0]])  # only kept for `backward`
        row_std, dimension_std = row_log_std.exp(), dimension_log_std.exp()
        for part in parts:
            action = actions[part]
            noise = _draw_mirrored(noises[part] if learn else noises[: len(action)])
            log_probs[part] = -0.5 * torch.linalg.vector_norm(noise, dim=(1, 2)).square()
            torch.addmm(bias, hidden[part].flatten(0, 1), weight.T, out=action.flatten(0, 1))
            action.add_(noise.mul_(row_std[part]).mul_(dimension_std))
            action.mul_(2).sigmoid_().mul_(2).sub_(1)  # tanh(x) = 2 sigmoid(2 x) - 1, in a third of the time
            log_probs[part] -= action.square().neg_().add_(1 + EPSILON).log_().sum((1, 2))
        ctx.save_for_backward(hidden, weight, actions, noises)  # by now, the noises times their standard deviations
        log_probs -= row_log_std.sum((1, 2)) * len(bias) + dimension_log_std.sum() * rows
        return actions, log_probs - 0.5 * math.log(2 * math.pi) * rows * len(bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, actions, deviations = ctx.saved_tensors
        of_actions, of_log_probs = gradients[0], gradients[1].view(-1, 1, 1)
        of_hidden, of_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        of_bias, of_dimensions = weight.new_zeros(len(weight)), weight.new_zeros(len(weight))
        of_rows = hidden.new_empty(*hidden.shape[:2], 1)
        for part in _parts(actions):
            action = actions[part]
            slope = action.square().neg_().add_(1)  # d tanh(x) / dx
            of_score = torch.mul(action, slope).div_(slope + EPSILON).mul_(2 * of_log_probs[part])
            of_mean = slope.mul_(of_actions[part]).add_(of_score)
            of_log_std = of_mean * deviations[part]
            of_rows[part] = of_log_std.sum(2, keepdim=True)
            of_dimensions += of_log_std.sum((0, 1))
            flat = of_mean.flatten(0, 1)
            of_hidden[part] = (flat @ weight).view_as(hidden[part])
            of_weight.addmm_(flat.T, hidden[part].flatten(0, 1))
            of_bias += flat.sum(0)
        of_rows -= of_log_probs * len(weight)
        of_dimensions -= of_log_probs.sum() * hidden.shape[1]
        return of_hidden, of_weight, of_bias, of_rows, of_dimensions, None


def _parts(actions: Tensor) -> list[slice]:
    """Cut the batch into parts that fit in a core's cache; a GPU takes it whole."""
    fits = max(2, PART_NUMBERS // actions[0].numel() // 2 * 2)  # even: half mirrors the other half
    size = fits if actions.device.type == "cpu" else len(actions)
    return [slice(start, start + size) for start in range(0, len(actions), size)]


def _draw_mirrored(noise: Tensor) -> Tensor:
    """Fill the first half of the samples with standard normal noise and the second with the same, negated."""
    half = -(-len(noise) // 2)
    noise[:half].normal_()
    torch.neg(noise[: len(noise) - half], out=noise[half:])
    return noise
