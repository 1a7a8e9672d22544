"""Make backgrounds: wood, cloth, noise, stripes, clutter, shapes in the colours of skin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Texture = Callable[[int, np.random.Generator], Pixels]
SKIN = ((246, 214, 190), (226, 178, 145), (198, 140, 104), (150, 98, 68), (105, 66, 45), (66, 42, 32))
THINGS = (12, 90)  # fewest and most objects in a picture of clutter


def made_texture(size: int, rng: np.random.Generator) -> Pixels:
    """Make one background of a random kind, (size, size, 3) uint8."""
    kinds = list(TEXTURES)
    shares = np.array([SHARES[name] for name in kinds])
    return TEXTURES[kinds[rng.choice(len(kinds), p=shares / shares.sum())]](size, rng)


def noise(size: int, rng: np.random.Generator) -> Pixels:
    """Make noise at many scales, with a random fall-off."""
    power, tint = rng.uniform(0.6, 2.2), rng.uniform(0.0, 0.5)
    grey = _fractal(size, rng, power)
    colours = np.stack([grey + tint * _fractal(size, rng, power) for _ in range(3)], -1)
    return _toned(colours, rng)


def wood(size: int, rng: np.random.Generator) -> Pixels:
    """Make boards with a grain along them."""
    y, x = np.mgrid[0:size, 0:size] / size
    boards = int(rng.integers(1, 7))
    board = np.floor(y * boards)
    warp = 0.05 * _fractal(size, rng, 1.8) + 0.02 * np.sin(2 * math.pi * (x * rng.uniform(0.3, 2) + board * 0.37))
    across = (y * boards) % 1.0 / boards + warp + board * 7.3
    grain = np.sin(across * rng.uniform(60, 260)) * 0.5 + _stretched_noise(size, rng)
    shade = rng.normal(0, 0.25, boards + 1)[board.astype(int)]
    seam = np.where((y * boards) % 1.0 < 0.02 * boards / 3, -1.2, 0.0) if boards > 1 else 0.0
    brown = np.array(_wood_colour(rng))
    contrast = rng.uniform(8, 34)
    return _bytes(brown + (contrast * (grain + shade + seam))[..., None] * (brown / brown.mean()) ** 0.5)


def cloth(size: int, rng: np.random.Generator) -> Pixels:
    """Make woven cloth, plain, striped or chequered, with folds."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    thread = rng.uniform(2.0, 7.0)
    weave = np.sin(2 * math.pi * x / thread) * np.sin(2 * math.pi * y / thread)
    base, second = rng.uniform(20, 240, (2, 3))
    wide = rng.uniform(10, 60)
    stripes = (np.sin(2 * math.pi * x / wide) > rng.uniform(-0.5, 0.8)).astype(float)
    if rng.random() < 0.4:
        stripes = 0.5 * stripes + 0.5 * (np.sin(2 * math.pi * y / wide) > 0)
    stripes *= rng.random() < 0.55
    folds = 1 + rng.uniform(0.05, 0.3) * _fractal(size, rng, 2.3)
    colour = base + stripes[..., None] * (second - base)
    return _bytes((colour + rng.uniform(3, 18) * weave[..., None]) * folds[..., None])


def stripes(size: int, rng: np.random.Generator) -> Pixels:
    """Draw bars side by side, some as wide as fingers; half of the pictures use the colours of skin."""
    picture = Image.fromarray(noise(size, rng))
    canvas = ImageDraw.Draw(picture)
    width = rng.uniform(0.03, 0.14) * size
    skin = rng.random() < 0.5
    place = rng.uniform(0, width)
    while place < size:
        top, bottom = rng.uniform(-0.2, 0.5) * size, rng.uniform(0.5, 1.2) * size
        ends = [(place + rng.normal(0, 0.1) * width, top), (place + rng.normal(0, 0.4) * width, bottom)]
        _bar(canvas, ends[0], ends[1], width * rng.uniform(0.6, 1.0), _skin(rng) if skin else _colour(rng))
        place += width * rng.uniform(1.0, 2.2)
    return np.asarray(picture.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR, fillcolor=_colour(rng)))


def clutter(size: int, rng: np.random.Generator) -> Pixels:
    """Draw objects of all sizes on a background, sharp or slightly out of focus."""
    ground = (noise, wood, cloth)[rng.integers(3)]
    picture = Image.fromarray(ground(size, rng))
    for _ in range(int(rng.integers(*THINGS))):
        _thing(picture, rng)
    if rng.random() < 0.35:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 6))))
    return _textured(np.asarray(picture), rng)


def skin_shapes(size: int, rng: np.random.Generator) -> Pixels:
    """Draw blurred round and long shapes in the colours of skin, like faces, arms and fingers."""
    picture = Image.fromarray((noise, cloth, clutter)[rng.integers(3)](size, rng))
    for _ in range(int(rng.integers(2, 9))):
        colour, canvas = _skin(rng), ImageDraw.Draw(picture)
        if rng.random() < 0.5:
            radius = rng.uniform(0.06, 0.3, 2) * size
            x, y = rng.uniform(0, size, 2)
            canvas.ellipse((x - radius[0], y - radius[1], x + radius[0], y + radius[1]), fill=colour)
        else:
            ends = rng.uniform(-0.2, 1.2, (2, 2)) * size
            _bar(canvas, tuple(ends[0]), tuple(ends[1]), rng.uniform(0.04, 0.25) * size, colour)
    picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 6))))
    return _textured(np.asarray(picture), rng)


TEXTURES: dict[str, Texture] = {
    "noise": noise,
    "wood": wood,
    "cloth": cloth,
    "stripes": stripes,
    "clutter": clutter,
    "skin shapes": skin_shapes,
}
SHARES = {"noise": 1.0, "wood": 1.5, "cloth": 1.0, "stripes": 0.8, "clutter": 3.0, "skin shapes": 1.2}


def _fractal(size: int, rng: np.random.Generator, power: float) -> Floats:
    """Return noise of mean 0 and deviation 1, with an amplitude of 1 / frequency ** power."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1.0
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    spectrum[0, 0] = 0.0
    values = np.fft.irfft2(spectrum / frequency**power, (size, size))
    return np.asarray(values / values.std(), dtype=np.float64)


def _stretched_noise(size: int, rng: np.random.Generator) -> Floats:
    rows = rng.normal(size=(size, max(2, size // 24)))
    picture = Image.fromarray(rows.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float64)


def _toned(colours: Floats, rng: np.random.Generator) -> Pixels:
    return _bytes(np.array(_colour(rng)) + rng.uniform(4, 45) * colours)


def _textured(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Light a picture unevenly and add a little noise."""
    size = len(picture)
    light = 1 + rng.uniform(0, 0.2) * _fractal(size, rng, 2.0) + rng.uniform(0, 0.06) * _fractal(size, rng, 0.6)
    return _bytes(picture * light[..., None])


def _thing(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draw one object: a plate, a box, a stick, a polygon, or lines like print."""
    size = picture.width
    canvas = ImageDraw.Draw(picture)
    x, y = rng.uniform(-0.1, 1.1, 2) * size
    big = size * math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
    colour = _skin(rng) if rng.random() < 0.12 else _colour(rng)
    edge = _colour(rng) if rng.random() < 0.4 else None
    kind = rng.integers(5)
    if kind == 0:
        flat = big * rng.uniform(0.4, 1.0)
        canvas.ellipse((x - big, y - flat, x + big, y + flat), fill=colour, outline=edge, width=2)
    elif kind == 1:
        angles = rng.uniform(0, math.pi) + np.array([0.6, 2.2, 3.8, 5.3]) + rng.normal(0, 0.1, 4)
        canvas.polygon([(x + big * math.cos(a), y + big * math.sin(a)) for a in angles], fill=colour, outline=edge)
    elif kind == 2:
        angle = rng.uniform(0, math.pi)
        end = (x + 3 * big * math.cos(angle), y + 3 * big * math.sin(angle))
        _bar(canvas, (x, y), end, max(2.0, big * rng.uniform(0.1, 0.6)), colour)
    elif kind == 3:
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
        reach = big * rng.uniform(0.4, 1.2, len(angles))
        corners = zip(angles.tolist(), reach.tolist(), strict=True)
        canvas.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a, r in corners], fill=colour, outline=edge)
    else:
        for line in range(int(rng.integers(2, 7))):
            height = y + line * big * 0.25
            canvas.line((x, height, x + big * rng.uniform(1, 3), height), fill=colour, width=max(1, round(big * 0.08)))


def _bar(
    canvas: ImageDraw.ImageDraw,
    start: tuple[float, ...],
    end: tuple[float, ...],
    width: float,
    colour: tuple[int, ...],
) -> None:
    """Draw a bar with round ends that is lighter along its middle."""
    for share, lighter in ((1.0, 0.85), (0.75, 0.95), (0.45, 1.05)):
        tone = tuple(min(255, round(c * lighter)) for c in colour)
        half = width * share / 2
        canvas.line([start[0], start[1], end[0], end[1]], fill=tone, width=max(1, round(2 * half)))
        for x, y in (start, end):
            canvas.ellipse((x - half, y - half, x + half, y + half), fill=tone)


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a random colour, usually a dull one."""
    grey = rng.uniform(10, 245)
    return tuple(int(np.clip(grey + rng.normal(0, 45) * rng.random(), 0, 255)) for _ in range(3))


def _skin(rng: np.random.Generator) -> tuple[int, ...]:
    first, second = (np.array(SKIN[rng.integers(len(SKIN))], dtype=float) for _ in range(2))
    mixed = first + rng.random() * (second - first) + rng.normal(0, 8, 3)
    return tuple(int(c) for c in mixed.clip(0, 255))


def _wood_colour(rng: np.random.Generator) -> tuple[float, ...]:
    light = rng.uniform(45, 215)
    return (light, light * rng.uniform(0.68, 0.95), light * rng.uniform(0.42, 0.9))


def _bytes(values: Floats) -> Pixels:
    return np.asarray(values, dtype=np.float64).clip(0, 255).round().astype(np.uint8)
