"""Make backgrounds for the report's scenes, from pictures and with code that the judges' training did not use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from vae.images.backgrounds.collection import shipped_pictures
from vae.images.backgrounds.textures import clutter
from vae.images.decode import open_picture

TOPS = {
    "metaworld": (
        "assets/scene/textures/metal.png assets/scene/textures/white_marble_tile2.png assets/scene/textures/wood.png "
        "assets/textures/floor1.png assets/textures/light_wood_v2.png assets/textures/metal.png "
        "assets/textures/metal2.png assets/textures/wood.png assets/textures/wood3.png"
    ),
}
"""Surfaces for things to lie on, by package; neither training nor validation used them."""

THINGS = {
    "matplotlib": "mpl-data/sample_data/grace_hopper.jpg",
    "metaworld": "assets/textures/marble.png assets/textures/tennis.png",
    "skimage": "data/clock_motion.png data/color.png data/moon.png data/text.png",
}
"""Pictures to cut things out of, by package; neither training nor validation used them."""

SEEN = ("chelsea", "coffee", "china")
"""Cluttered photographs of `collection.KEPT_APART`: the judges' limits were chosen on them, but no weights."""

Pixels = NDArray[np.uint8]
Ground = Callable[[int, np.random.Generator], Pixels]


def cluttered_grounds() -> dict[str, Ground]:
    """Return the kinds of cluttered backgrounds; each makes (size, size, 3) uint8.

    Raises:
        FileNotFoundError: If the packages that ship the pictures are not installed.
    """
    tops, things = _shipped(TOPS), _shipped(THINGS)
    seen = [_opened(path) for path in shipped_pictures() if path.stem in SEEN]
    if len(seen) < len(SEEN):
        raise FileNotFoundError(_MISSING)
    return {
        "unused pictures": lambda size, rng: tabletop(size, rng, tops, things),
        "textures of training's kinds": clutter,
        "validation's photographs": lambda size, rng: _cut(_one(seen, rng), size, rng, 0.55),
    }


def plain(size: int, rng: np.random.Generator) -> Pixels:
    """Make a wall in one colour, lit from one side, slightly uneven."""
    colour = np.clip(rng.uniform(40, 240) + rng.normal(0, 14, 3), 15, 250)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    uneven = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 12, mode="wrap")
    light = 1 + fall * (x * np.cos(angle) + y * np.sin(angle)) + 0.02 * uneven / uneven.std()
    return np.asarray((colour * light[..., None]).clip(0, 255).astype(np.uint8))


def tabletop(size: int, rng: np.random.Generator, tops: Sequence[Image.Image], things: Sequence[Image.Image]) -> Pixels:
    """Lay 6 to 16 things with shadows on a surface: pieces of pictures, and objects of one colour."""
    table = Image.fromarray(_cut(_one(tops, rng), size, rng, 0.5))
    for _ in range(int(rng.integers(6, 17))):
        wide, high = (int(side) for side in size * rng.uniform(0.1, 0.45, 2))
        if rng.random() < 0.65:
            piece = Image.fromarray(_cut(_one(things, rng), max(wide, high), rng, 0.25)).crop((0, 0, wide, high))
        else:
            piece = Image.new("RGB", (wide, high), tuple(int(c) for c in rng.uniform(15, 240, 3)))
        _lay(table, piece, rng)
    if rng.random() < 0.35:
        table = table.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 4))))
    return np.asarray(table)


def _lay(table: Image.Image, piece: Image.Image, rng: np.random.Generator) -> None:
    """Lay a piece with round corners and a shadow at a random place, rotated by any angle."""
    size, shape = table.width, Image.new("L", piece.size)
    radius = int(min(piece.size) * (0.5 if rng.random() < 0.4 else rng.uniform(0, 0.2)))
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, piece.width - 1, piece.height - 1), radius, fill=255)
    angle = float(rng.uniform(0, 360))
    piece, shape = (one.rotate(angle, Image.Resampling.BICUBIC, expand=True) for one in (piece, shape))
    left, top = (int(place) for place in rng.uniform(-0.15, 0.9, 2) * size)
    shadow = shape.filter(ImageFilter.GaussianBlur(size / 60)).point(lambda value: value * 0.55)
    table.paste((0, 0, 0), (left + size // 60, top + size // 50), shadow)
    table.paste(piece, (left, top), shape)


_MISSING = (
    "--scenes needs the pictures that scikit-image and Meta-World ship, and they are not installed. "
    'Run `pip install -e ".[judge-train]"`.'
)


def _shipped(names: dict[str, str]) -> list[Image.Image]:
    found = []
    for package, paths in names.items():
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
        for path in paths.split():
            if spec is None or not (folder / path).is_file():
                raise FileNotFoundError(_MISSING)
            found.append(_opened(folder / path))
    return found


def _opened(path: Path) -> Image.Image:
    with open_picture(path) as opened:
        return opened.convert("RGB")


def _one(pictures: Sequence[Image.Image], rng: np.random.Generator) -> Image.Image:
    return pictures[int(rng.integers(len(pictures)))]


def _cut(picture: Image.Image, size: int, rng: np.random.Generator, least: float) -> Pixels:
    """Cut a random square of at least a share of the shorter side out of a picture, and resize it."""
    side = rng.uniform(least, 1) * min(picture.size)
    left, top = (float(rng.uniform(0, whole - side)) for whole in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))
