"""Find the 21 joints of hands in photographs with MediaPipe, once, as labels for training.

Only this module needs MediaPipe. Install it from the checkout with `pip install -e ".[landmarks]"`, on Python 3.11 or
3.12. Its landmarks are good on real photographs, but it cannot judge anatomy.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vae.extras import needing_extra
from vae.images import load_hands11k
from vae.images.labelled.packed_file import write_arrays
from vae.progress import progress_bar

SIZE = 256  # pixels a side of the pictures that MediaPipe sees
BORDER = 0.2  # of the size, added on all sides: MediaPipe's palm detector needs some background around a hand
CONFIDENCES = (0.5, 0.2)  # detection thresholds; the second is for pictures where the first finds no hand


def write_landmarks(data: Path, out: Path) -> Path:
    """Find the joints of every usable photograph of 11k Hands and write them to one file.

    Args:
        data: The 11k Hands download.
        out: The `.npz` to write. `names` are (n,) file names. `joints` are (n, 21, 2) float32, x then y as shares of
            the square that `crop_to_hand` cuts out; NaN where no hand was found.

    Returns:
        `out`.

    Raises:
        ImportError: If MediaPipe is not installed.
    """
    _mediapipe()  # fail before the photographs are read, which takes minutes
    photographs = load_hands11k(data, SIZE)
    joints = find_joints(photographs.pixels)
    return write_arrays(out, names=np.array(photographs.names), joints=joints)


def find_joints(pixels: Tensor) -> NDArray[np.float32]:
    """Find the joints of one hand in each picture.

    Args:
        pixels: (n, 3, S, S) uint8.

    Returns:
        (n, 21, 2) float32, shares of the side, x before y; NaN where no hand was found.
    """
    mediapipe = _mediapipe()
    found = np.full((len(pixels), 21, 2), np.nan, np.float32)
    for confidence in CONFIDENCES:
        with mediapipe.solutions.hands.Hands(
            static_image_mode=True, max_num_hands=1, min_detection_confidence=confidence
        ) as hands:
            left = np.flatnonzero(np.isnan(found).any((1, 2)))
            for index in progress_bar(left, "Finding landmarks", unit="photographs"):
                found[index] = _joints(hands.process(_framed(pixels[index])))
    return found


def _mediapipe() -> Any:
    with needing_extra("landmarks", "Finding joints"):
        import mediapipe  # optional: it is large and has no wheels for some Python versions
    return mediapipe


def _framed(picture: Tensor) -> NDArray[np.uint8]:
    border = round(BORDER * picture.shape[-1])
    image = picture.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.pad(image, ((border, border), (border, border), (0, 0)), mode="edge"))


def _joints(answer: object) -> NDArray[np.float32]:
    hands = getattr(answer, "multi_hand_landmarks", None)
    if not hands:
        return np.full((21, 2), np.nan, np.float32)
    shares = np.array([[joint.x, joint.y] for joint in hands[0].landmark], np.float32)
    return np.asarray(shares * (1 + 2 * BORDER) - BORDER, dtype=np.float32)
