"""Write files atomically, with a SHA-256, and read them back: safetensors, JSON, text. Nothing is ever unpickled.

The SHA-256 of a file's content stands in the file itself, so that both are replaced together. Files of earlier versions
have none and are read without.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save
from torch import Tensor

from vae.quantisation.int8 import restored

SHA256 = "sha256"  # the key of the hash, in a JSON object and in the header of a safetensors file


class DamagedError(ValueError):
    """A file is not as it was written."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name a file in the error if it cannot be written, as on a full disk.

    Raises:
        OSError: In place of the libraries' errors, which often name no file.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f"'{path}' could not be written: {reason}. Files written before are whole.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it when it is complete; if that fails, nothing is left.

    The temporary name is the same each time, so that a killed process leaves one file at most. Two writers of one file
    at a time need a lock.

    Args:
        path: The file; its folder must exist.

    Yields:
        The name to write to.

    Raises:
        OSError: If it cannot be written, as on a full disk; the message names the file.
    """
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            yield partial
            with partial.open("rb+") as file:  # Windows refuses to sync a file that is open for reading alone
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors to one safetensors file, atomically, with their SHA-256 in its header.

    Args:
        path: The file; its folder must exist.
        tensors: Tensors by name, of any shape and on any device.
        metadata: Short notes for the file's header.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    notes = dict(metadata or {})
    # not save_file: when the process is killed, that leaves a file of its own behind, under a random name
    content = save({**plain}, {**notes, SHA256: _tensors_sha256(plain, notes)})
    with replacing(path) as partial:
        partial.write_bytes(content)
        if notes:
            _sort_notes(partial)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote, to the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If it is not as it was written.
    """
    try:
        tensors, notes = _read_tensors(path)
    except SafetensorError as error:
        raise DamagedError(f"'{path}' is damaged: {error}") from error
    expected = notes.pop(SHA256, None)
    if expected not in (None, _tensors_sha256(tensors, notes)):
        raise DamagedError(f"'{path}' is damaged: its content has another SHA-256 than when it was written")
    return tensors


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and notes. The library maps the file into memory, but takes names that are UTF-8 alone."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        content = path.read_bytes()
        tensors = load(content)  # first: it checks the header
        return tensors, json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    with safe_open(path, framework="pt") as stored:
        notes = stored.metadata() or {}
    return load_file(path), notes


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights as `load_tensors` does; those that are stored as int8 come back as float32.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If it is not as it was written, or holds NaN or infinity, or int8 without matching scales.
    """
    stored = load_tensors(path)
    try:
        tensors = restored(stored)
    except ValueError as error:
        raise DamagedError(f"'{path}' is damaged: {error}") from error
    wrong = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if wrong:
        raise DamagedError(f"'{path}' is damaged: it holds numbers that are not finite, in {wrong[0]!r}")
    return tensors


def save_text(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the complete old file or the complete new one."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def save_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; raise ValueError for NaN and infinity."""
    save_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def hashed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Add the SHA-256 of a JSON object as its last value; a file that holds this is one for `load_hashed_json`."""
    return {**value, SHA256: hashlib.sha256(json.dumps(value).encode()).hexdigest()}


def save_hashed_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object as `save_json` does, with its SHA-256 as one more value."""
    save_json(path, hashed(value))


def load_hashed_json(path: Path) -> dict[str, Any]:
    """Read what `save_hashed_json` wrote, without the hash.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If it is not as it was written, or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"'{path}' is damaged: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"'{path}' is damaged: it must hold a JSON object, got {content!r:.80}")
    expected = content.pop(SHA256, None)
    if expected not in (None, hashed(content)[SHA256]):
        raise DamagedError(f"'{path}' is damaged: its content has another SHA-256 than when it was written")
    return content


def copy_file(path: Path, target: Path) -> None:
    """Copy a file atomically."""
    with replacing(target) as partial:
        shutil.copyfile(path, partial)


def _tensors_sha256(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(notes.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sort_notes(path: Path) -> None:
    """Sort the notes in a header: the library writes them in a random order, and equal weights make equal files."""
    with path.open("rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= length, "the library writes JSON as compactly as Python"
        file.seek(8)
        file.write(text.ljust(length))
