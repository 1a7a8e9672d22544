"""Pictures that are read once, split by person, and packed in one file for other machines."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, SoftFileLock, Timeout
from torch import Tensor

from agents.runs.pictures import SYNTHETIC, Choice, gather, tell
from vae.files import DamagedError, load_tensors, save_tensors
from vae.images import SPLIT_SEED
from vae.images.folder import is_hands11k

ALL = "all"
FEWEST = 20  # pictures of held-out people
PARTS = ("training", "validation", "held_out")


@dataclass(frozen=True, eq=False)
class PackedPictures:
    """Pictures of three groups of people, by the judges' split.

    Attributes:
        training: (n, 3, S, S) uint8, of the training people.
        validation: (m, 3, S, S) uint8, of the validation people: the loss, and the learned prior's best weights.
        held_out: (k, 3, S, S) uint8, of the test people: the limits of what is new, and the usual sharpness.
    """

    training: Tensor
    validation: Tensor
    held_out: Tensor

    @property
    def sha256(self) -> str:
        """Hash of all pixels."""
        digest = hashlib.sha256()
        for name in PARTS:
            digest.update(getattr(self, name).cpu().numpy().tobytes())
        return digest.hexdigest()

    def to(self, device: str) -> "PackedPictures":
        """Return the same pictures on a device."""
        return PackedPictures(*(getattr(self, name).to(device) for name in PARTS))

    def choose(self, n: str, seed: int) -> Tensor:
        """Choose training pictures; with the same seed, a larger choice contains a smaller one.

        Args:
            n: How many, or "all".
            seed: Seed of the choice.

        Returns:
            (n, 3, S, S) uint8 on the device of the pictures.

        Raises:
            ValueError: If there are fewer.
        """
        if n == ALL:
            return self.training
        if int(n) > len(self.training):
            raise ValueError(f"--n must be at most {len(self.training)}, the training pictures, got {n!r}. Use 'all'.")
        rows = np.random.default_rng(seed).permutation(len(self.training))[: int(n)]
        return self.training[torch.from_numpy(rows).to(self.training.device)]


def read_packed(data: str, images: int | None, size: int, pack: Path | None) -> PackedPictures:
    """Read the pack if there is one; else read or render the pictures, and write the pack if one is named.

    Photographs of 11k Hands that are marked as irregular are left out, as in `handlatent recipe`.

    Args:
        data: "synthetic", or the folder of the photographs.
        images: How many; None: all photographs, or 2,000 synthetic hands.
        size: Width and height in pixels.
        pack: The file that holds the pictures, or will hold them; None: no file.

    Returns:
        The pictures.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If the pack is damaged or of another size, or too few pictures are held out.
    """
    if pack is None:
        return _gather(data, images, size)
    if not pack.is_file():
        with _one_writer(pack):
            if not pack.is_file():  # another command may have written it meanwhile
                packed = _gather(data, images, size)
                save_tensors(pack, {name: getattr(packed, name) for name in PARTS})
                return packed
    if data != SYNTHETIC or images is not None:
        tell([f"The pictures are those of --pack '{pack}': --data and --images are not looked at."])
    return _unpack(pack, size)


def _gather(data: str, images: int | None, size: int) -> PackedPictures:
    irregular = "exclude" if data != SYNTHETIC and is_hands11k(Path(data)) else "include"
    pictures = gather(Choice(data, images, size, "all", "all", "include", irregular, SPLIT_SEED))  # type: ignore[arg-type]  # checked by check_args
    tell(pictures.notes)
    packed = PackedPictures(pictures.train, pictures.validation, pictures.test)
    for name in PARTS[1:]:
        if len(getattr(packed, name)) < FEWEST:
            raise ValueError(
                f"--data must leave at least {FEWEST} pictures each of validation and test people, got "
                f"{len(packed.validation)} and {len(packed.held_out)}. Add pictures."
            )
    return packed


@contextmanager
def _one_writer(pack: Path) -> Iterator[None]:
    """Hold a pack until the end of `with`; wait as long as another command holds it."""
    made = not pack.parent.exists()
    pack.parent.mkdir(parents=True, exist_ok=True)
    path = pack.with_name(f".{pack.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell([f"Another command writes --pack '{pack}'. This one waits for it."])
        lock.acquire()
    try:
        yield
    finally:
        if os.name != "nt" and not isinstance(lock, SoftFileLock):  # as in `agents.runs.lock`
            path.unlink(missing_ok=True)
        lock.release()
        if made:  # a command that was refused leaves no empty folder behind
            with suppress(OSError):
                pack.parent.rmdir()


def _unpack(path: Path, size: int) -> PackedPictures:
    try:
        tensors = load_tensors(path)
        for name in PARTS:
            _check_part(name, tensors)
    except DamagedError as error:
        raise ValueError(
            f"--pack '{path}' is damaged, or no pack: {error}. Name another --pack; one that is missing is written."
        ) from error
    packed = PackedPictures(*(tensors[name] for name in PARTS))
    if packed.training.shape[-1] != size:
        raise ValueError(
            f"--pack '{path}' must hold pictures of {size} pixels, got {packed.training.shape[-1]}. Choose another "
            "--pack or --size."
        )
    return packed


def _check_part(name: str, tensors: Mapping[str, Tensor]) -> None:
    fewest = 1 if name == PARTS[0] else FEWEST
    if name not in tensors:
        raise DamagedError(f"it must hold {name!r}, which is missing")
    shape, dtype = tuple(tensors[name].shape), tensors[name].dtype
    square = len(shape) == 4 and shape[0] >= fewest and shape[1] == 3 and shape[2] == shape[3]
    if not square or dtype != torch.uint8 or shape[2:] != tensors[PARTS[0]].shape[2:]:
        raise DamagedError(
            f"{name!r} must be uint8 of shape (n, 3, S, S) with n at least {fewest} and S as in 'training', "
            f"got {dtype} {shape}"
        )
