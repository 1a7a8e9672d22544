"""Compute the palm, a smooth union of tapered capsules around the metacarpals, and the forearm."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from vae.images.synthetic.grid import Grid, smooth_minimum
from vae.images.synthetic.skeleton import ABSENT, INDEX, PINKY, SIXTH, THUMB, Skeleton, heading

BLEND = 10.0
"""mm over which the capsules blend into one another."""


def palm_distance(skeleton: Skeleton, grid: Grid) -> Tensor:
    """Return the signed distances to the palms and forearms, (n, S, S) float32 mm, negative inside."""
    parts = [_forearm(skeleton), *_metacarpals(skeleton), *_flesh(skeleton)]
    distances = (_capsule(*part, grid) for part in parts)
    return reduce(lambda first, second: smooth_minimum(first, second, BLEND), distances)


def _forearm(skeleton: Skeleton) -> tuple[Tensor, Tensor, Tensor]:
    """Return start (n, 2), stop (n, 2) and the radii at both (n, 2), mm."""
    down = -heading(skeleton.forearm[:, 0])
    return -8.0 * down, 150.0 * down, torch.cat((skeleton.wrist, skeleton.wrist * 1.18), 1)


def _metacarpals(skeleton: Skeleton) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return capsules from the wrist to a little beyond each finger's knuckle, and to the thumb's."""
    reach = torch.where(torch.arange(6) == THUMB, 0.0, 0.2) * skeleton.web
    stop = skeleton.knuckle + reach.unsqueeze(-1) * skeleton.direction()
    girth = skeleton.girth.clone()
    girth[:, SIXTH] = torch.where(skeleton.present[:, SIXTH], girth[:, SIXTH], ABSENT)
    radii = torch.stack((girth * 1.1, girth * 0.87), -1)
    return [(skeleton.root[:, slot], stop[:, slot], radii[:, slot]) for slot in range(6)]


def _flesh(skeleton: Skeleton) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Fill the middle of the palm, its edge under the pinky, and the row of knuckles."""
    n, wrist = len(skeleton.wrist), skeleton.wrist
    middle = torch.tensor([[0.0, 22.0], [1.0, 66.0]]).double().expand(n, 2, 2)
    edge = torch.tensor([[19.0, 24.0], [26.0, 56.0]]).double() * (wrist / 27.5).unsqueeze(-1)
    return [
        (middle[:, 0], middle[:, 1], torch.cat((wrist * 0.85, wrist * 1.08), 1)),
        (edge[:, 0], edge[:, 1], torch.tensor([15.0, 14.0]).double().expand(n, 2)),
        (skeleton.knuckle[:, INDEX], skeleton.knuckle[:, PINKY], torch.full((n, 2), 10.5).double()),
    ]


def _capsule(start: Tensor, stop: Tensor, radii: Tensor, grid: Grid) -> Tensor:
    """Return the signed distances to tapered capsules, (n, S, S) float32 mm."""
    span = stop - start
    length = span.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    ahead = span / length
    aside = torch.stack((ahead[:, 1], -ahead[:, 0]), -1)
    along, across = grid.project(start, ahead), grid.project(start, aside)
    place = torch.minimum(along.clamp(min=0.0), grid.per_picture(length[:, 0]))
    taper = grid.per_picture((radii[:, 1] - radii[:, 0]) / length[:, 0])
    radius = place.mul(taper).add_(grid.per_picture(radii[:, 0]))
    return along.sub_(place).square_().add_(across.square_()).sqrt_().sub_(radius)
