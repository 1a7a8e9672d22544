"""Draw everything that describes some pictures before they are rendered."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vae.images.random_source import draw_for_pictures
from vae.images.synthetic.defects import DEFECTS, apply_defects
from vae.images.synthetic.look import Look, draw_look
from vae.images.synthetic.outfit import Outfit, draw_outfit
from vae.images.synthetic.pose import Camera, draw_framing, place, separate
from vae.images.synthetic.skeleton import Skeleton, draw_skeleton


@dataclass
class Scene:
    """What n pictures show.

    Attributes:
        kinds: n words, "none" or one of `DEFECTS`.
        left: (n,) bool, whether it is a left hand.
        spread: (n, 1) float64, 0: fingers together, 1: wide apart.
        skeleton: Posed hands.
        camera: Where they lie in the pictures.
        look: Skin, light and camera.
        outfit: Rings and sleeves.
        ghost: (n,) int64, slot of the half-transparent digit, -1 for none.
        opacity: (n,) float64, opacity of that digit.
        texture: (n, 1, GRID, GRID) float32, random nodes of the unevenness of the skin.
        noise: (n, 3, size, size) float32, sensor noise, standard normal.
    """

    kinds: tuple[str, ...]
    left: Tensor
    spread: Tensor
    skeleton: Skeleton
    camera: Camera
    look: Look
    outfit: Outfit
    ghost: Tensor
    opacity: Tensor
    texture: Tensor
    noise: Tensor


def draw_scene(indices: range, size: int, seed: int, defect: str, rings: bool, sleeves: bool) -> Scene:
    """Draw the scenes of some pictures of a seed's endless sequence.

    The order of the random numbers does not depend on the arguments, and the defect comes last. So a malformed hand is
    the correct hand of the same seed and index, with a defect.
    """
    random, texture, noise = draw_for_pictures(seed, indices, size)
    look = draw_look(random)
    left = random.chance(0.5)
    spread = random.columns(-0.5, 1.0).clamp(min=0.0)  # a third of the hands have their fingers together
    skeleton = draw_skeleton(random, spread)
    framing = draw_framing(random)
    outfit = draw_outfit(random, rings, sleeves)
    choice, opacity = random.choice(0, len(DEFECTS)), random.uniform(0.34, 0.58)
    kinds = tuple(DEFECTS[i] if defect == "any" else defect for i in choice.tolist())
    ghost = apply_defects(skeleton, kinds, random)
    separate(skeleton)
    camera = place(skeleton, framing, left ^ look.palmar, size)
    return Scene(kinds, left, spread, skeleton, camera, look, outfit, ghost, opacity, texture, noise)
