"""Photographs and drawn hands, each time in another frame, light and pose, with the regions that a hand consists of."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from hand_env.anatomy import Judge
from hand_env.anatomy.training.drawn import draw_hands
from hand_env.anatomy.training.hands import CANVAS, Hands, correct_hands, join
from hand_env.anatomy.training.layers import Draw
from hand_env.anatomy.training.part import spread
from hand_env.anatomy.training.photographs import region_map, skin
from hand_env.anatomy.training.style import place

CHUNK = 32  # drawn hands a task
TURN = 0.12  # radians, largest turn either way


def annotate(images: Tensor, judge: Judge) -> Hands:
    """Label photographs of right hands: joints as a judge sees them, regions from joints and skin.

    Args:
        images: (n, 3, 128, 128) uint8, fingers up.
        judge: The rewarding one; where it does not find a right hand, no joints and no regions are given.

    Returns:
        Labelled hands on the CPU, images uint8.
    """
    parts = []
    with torch.no_grad():
        for chunk in torch.split(images, 256):
            found = judge.find(chunk.float() / 255)
            sure = found.holds[:, :8].all(1)  # the anatomical criteria
            parts.append(torch.where(sure.view(-1, 1, 1), found.parse.joints, torch.nan).cpu())
    joints = torch.cat(parts).float()
    maps = [
        region_map(skin(picture.permute(1, 2, 0).numpy()), places.numpy())
        for picture, places in zip(images, joints, strict=True)
    ]
    return correct_hands(images, torch.from_numpy(np.stack(maps)), joints)


def draw_right_hands(n: int, seed: int, workers: int) -> Hands:
    """Draw synthetic hands, all of them right, some with rings and sleeves.

    Args:
        n: How many, rounded up to a multiple of 32.
        seed: Of the drawings; the same hands come whatever the workers are.
        workers: Processes; with 0 this one draws.

    Returns:
        Labelled hands on the CPU, 128 pixels, images uint8.
    """
    firsts = range(0, n, CHUNK)
    if not workers:
        return join([_drawn(seed, first) for first in firsts])
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        return join(list(pool.map(_drawn, [seed] * len(firsts), firsts)))


@dataclass
class Batches:
    """Make batches on a device.

    Attributes:
        photographs: Labelled photographs of right hands, uint8, on the device; or none, for drawn hands alone.
        drawn: Labelled drawn hands, likewise.
        posed: Share of the photographs on which two neighbouring fingers are moved apart or together a little.
    """

    photographs: Hands | None
    drawn: Hands
    posed: float = 0.4

    def batch(self, real: int, drawn: int, generator: Generator) -> Hands:
        """Return photographs, then drawn hands.

        Args:
            real: How many photographs.
            drawn: How many drawn hands.
            generator: On the device.

        Returns:
            real + drawn hands, images (n, 3, 128, 128) float32 in [0, 1].
        """
        sides = [(self.photographs, real), (self.drawn, drawn)]
        hands = join([_some(hands, n, generator) for hands, n in sides if hands is not None and n])
        hands.images = hands.images.float() / 255
        draw = Draw(len(hands), generator)
        known = ~torch.isnan(hands.joints).flatten(1).any(1) & (torch.arange(len(hands), device=draw.device) < real)
        chosen = torch.nonzero(known & draw.chance(self.posed))[:, 0]
        if len(chosen):
            some = hands.take(chosen)
            spread(some, Draw(len(chosen), generator))
            hands.put(chosen, some)
        foot = torch.tensor([0.5, 1.0], device=draw.device).expand(len(hands), 2)
        to = foot + torch.stack([draw.uniform(-0.03, 0.03), draw.uniform(-0.01, 0.03)], 1)
        place(hands, draw.uniform(0.94, 1.06), TURN * draw.uniform(-1, 1), to, foot, draw.sign())
        hands.images = _lit(hands.images, draw)
        return hands


def _some(hands: Hands, n: int, generator: Generator) -> Hands:
    return hands.take(torch.randint(0, len(hands), (n,), generator=generator, device=generator.device))


def _lit(images: Tensor, draw: Draw) -> Tensor:
    colours = 2 * torch.rand(len(images), 3, 1, 1, generator=draw.generator, device=draw.device) - 1
    gamma = torch.exp(0.2 * draw.uniform(-1, 1)).view(-1, 1, 1, 1)
    return (images.clamp(1e-4, 1) ** gamma * (1 + 0.015 * colours)).clamp(0, 1)


def _drawn(seed: int, first: int) -> Hands:
    return draw_hands(seed, first, CHUNK, "none", CANVAS)


def _one_thread() -> None:
    torch.set_num_threads(1)
