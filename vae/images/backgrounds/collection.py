"""Collect backgrounds to put hands on: photographs that packages ship, and textures made by the program.

Nothing is downloaded. scikit-learn and scikit-image ship photographs; Meta-World ships wood, cloth and stone.
`pip install -e ".[judge-train]"` installs them. Packages that are not installed are skipped.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vae.images.backgrounds.textures import made_texture
from vae.images.decode import open_picture
from vae.images.labelled.packed_file import SIDES, decode_jpegs, encode_jpeg, jpeg_arrays, stored_arrays, write_arrays
from vae.progress import progress_bar

TILE = 256  # side, pixels
TILES = 24  # tiles per photograph
QUALITY = 88  # of the JPEGs in the file

SHIPPED = {
    "skimage": (
        "data/astronaut.png data/brick.png data/camera.png data/chelsea.png data/coffee.png data/coins.png "
        "data/grass.png data/gravel.png data/hubble_deep_field.jpg data/ihc.png data/motorcycle_left.png "
        "data/page.png data/retina.jpg data/rocket.jpg"
    ),
    "sklearn": "datasets/images/china.jpg datasets/images/flower.jpg",
    "metaworld": (
        "assets/scene/textures/fabricPattern.png assets/scene/textures/fabricPlain.png "
        "assets/scene/textures/white_marble_tile.png assets/textures/brick1.png assets/textures/darkwood.png "
        "assets/textures/floor2.png assets/textures/granite.png assets/textures/light_wood.png "
        "assets/textures/light_wood_v3.png assets/textures/navy_blue.png assets/textures/plaster1.png "
        "assets/textures/real_door.png assets/textures/wood1.png assets/textures/wood2.png "
        "assets/textures/wood4.png assets/textures/wood_light.png"
    ),
}
"""For each package, the paths of its pictures."""

KEPT_APART = ("chelsea", "coffee", "china", "wood2", "fabricPlain", "gravel")
"""Pictures that are used only for validation."""

Pixels = NDArray[np.uint8]


def shipped_pictures() -> list[Path]:
    """List the pictures of the installed packages."""
    found = []
    for package, names in SHIPPED.items():
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent
            found += [folder / name for name in names.split() if (folder / name).is_file()]
    return found


def write_grounds(out: Path, textures: int = 900, seed: int = 0) -> Path:
    """Write backgrounds into one file.

    Args:
        out: The `.npz` to write: JPEGs of 256 x 256 pixels (`jpeg_arrays`), and their sides (`SIDES`).
        textures: Number of training textures; one sixth of this number is added for validation.
        seed: Seed of the tiles and textures.

    Returns:
        `out`.
    """
    rng = np.random.default_rng(seed)
    tiles, sides = [], []
    for path in shipped_pictures():
        with open_picture(path) as opened:
            picture = _enlarged(opened.convert("RGB"))
        tiles += [_cut(picture, rng) for _ in range(TILES)]
        sides += [int(path.stem in KEPT_APART)] * TILES
    for side, count in enumerate((textures, textures // 6)):
        numbers = progress_bar(range(count), "Making textures", unit="textures")
        tiles += [made_texture(TILE, rng) for _ in numbers]
        sides += [side] * count
    return write_arrays(
        out,
        **jpeg_arrays(encode_jpeg(tile, quality=QUALITY) for tile in tiles),
        sides=np.array(sides, np.uint8),
    )


def load_grounds(path: Path) -> tuple[Tensor, Tensor]:
    """Read what `write_grounds` wrote.

    Returns:
        (n, 3, 256, 256) uint8 each: backgrounds for training and for validation.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If it is another file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing. `handlatent judge-train` makes it.")
    with stored_arrays(path, "Name another file, or remove this one to make it again.") as stored:
        tiles, sides = decode_jpegs(stored), stored["sides"]
    train, validation = (tiles[torch.from_numpy(sides == side)] for side in range(len(SIDES)))
    return train, validation


def _enlarged(picture: Image.Image) -> Image.Image:
    """Enlarge a picture so that its shorter side is at least 1.5 tiles."""
    factor = 1.5 * TILE / min(picture.size)
    return picture.resize((round(picture.width * factor), round(picture.height * factor))) if factor > 1 else picture


def _cut(picture: Image.Image, rng: np.random.Generator) -> Pixels:
    """Cut a random square of at least one tile out of a picture, and resize it to a tile."""
    side = int(rng.integers(TILE, min(picture.size) + 1))
    left, top = (int(rng.integers(0, whole - side + 1)) for whole in picture.size)
    return np.asarray(picture.resize((TILE, TILE), box=(left, top, left + side, top + side)))
