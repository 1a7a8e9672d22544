"""Damage a file's content at random, from a seed."""

import numpy as np


def damaged(content: bytes, rng: np.random.Generator, most: int = 4) -> bytes:
    """Flip, remove, insert or overwrite bytes in up to `most` places of a file, or end it there."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, most + 1))):
        at, length = int(rng.integers(0, len(out) + 1)), int(rng.integers(1, 9))
        kind = int(rng.integers(0, 5))
        if kind == 0 and at < len(out):
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = rng.bytes(length)
        elif kind == 3:
            out[at : at + length] = b"\xff" * length
        elif at > 1:
            del out[at:]
    return bytes(out)


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip one bit of a file, as a failing disk does."""
    out = bytearray(content)
    out[int(rng.integers(0, len(out)))] ^= 1 << int(rng.integers(0, 8))
    return bytes(out)
