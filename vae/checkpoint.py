"""Save nested state as safetensors and JSON, atomically and with a SHA-256; loading checks it and never unpickles.

A state is any nesting of dicts (keys: str or int), lists, tensors, numpy arrays and plain JSON values, such as
PyTorch's own state dicts. The tensors go to one safetensors file, everything else to one JSON file.

The SHA-256 of a file's content stands in the file itself, so that both are replaced together. Files of earlier versions
have none and are read without.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from vae.quantisation.int8 import restored

SHA256 = "sha256"  # the key of the hash, in a JSON object and in the header of a safetensors file
KEPT = 2  # checkpoints: the last one, and the one before in case the last is damaged
STATE = "state.json"  # of a checkpoint: all but its tensors
_TENSORS = "tensors.safetensors"
_NAME, _PARTIAL = re.compile(r"step-(\d+)"), ".partial-"


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
    """Write a file under another name, and give it its own when it is complete; leave nothing if that fails.

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
        with safe_open(path, framework="pt") as stored:
            notes = stored.metadata() or {}
        tensors = load_file(path)
    except SafetensorError as error:
        raise DamagedError(f"'{path}' is damaged: {error}") from error
    expected = notes.pop(SHA256, None)
    if expected not in (None, _tensors_sha256(tensors, notes)):
        raise DamagedError(f"'{path}' is damaged: its content has another SHA-256 than when it was written")
    return tensors


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


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of one step; keep it and the one before.

    If the process is killed, the folder still holds a complete checkpoint: a new one gets its name only when complete.

    Args:
        folder: The folder for checkpoints; created if missing.
        step: >= 0, part of the checkpoint's name.
        state: Nested state, as the module docstring describes it.

    Returns:
        The checkpoint's folder.
    """
    target = folder / f"step-{step}"
    if target.exists():
        return target  # complete, and of the same step: replacing it would leave a moment without a checkpoint
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(_checkpoints(folder))[: KEPT - 1]
    for old in folder.iterdir():
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)
    partial = folder / f"{_PARTIAL}{uuid4().hex}"
    try:
        partial.mkdir()  # with the rights that the umask gives, unlike tempfile's
        tensors: dict[str, Tensor] = {}
        rest = _flatten(state, "", tensors)
        save_tensors(partial / _TENSORS, tensors)
        save_hashed_json(partial / STATE, rest)
        with writing(target):
            partial.rename(target)
            _sync(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint with the highest step in a folder, or None if there is none."""
    return next(_checkpoints(folder), None)


def load_latest_checkpoint(folder: Path, check: Callable[[Path, Any], Any] = lambda _, state: state) -> Any:
    """Read the last checkpoint, or the one before if the last is damaged; a warning says so.

    Args:
        folder: The folder for checkpoints.
        check: Takes a checkpoint and its state, and returns the state; raises ValueError if a part is wrong.

    Returns:
        The state, or None if there is no checkpoint.

    Raises:
        DamagedError: If all checkpoints are damaged.
    """
    damaged: list[tuple[Path, str]] = []
    for path in _checkpoints(folder):
        try:
            state = check(path, load_checkpoint(path))
        except (FileNotFoundError, ValueError) as error:
            damaged.append((path, str(error).rstrip(".")))
            continue
        for worse, reason in damaged:  # or it would stand in the way of the next one of its step
            warnings.warn(f"{reason}. Resuming from the checkpoint before, '{path}'.", stacklevel=2)
            shutil.rmtree(worse)
        return state
    if damaged:
        raise DamagedError(f"{damaged[0][1]}. Remove '{folder}' to start over.")
    _remove_partial(folder)
    return None


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote.

    Args:
        path: A checkpoint's folder.

    Returns:
        The state, with its tensors on the CPU.

    Raises:
        FileNotFoundError: If the folder holds no checkpoint.
        DamagedError: If a file of it is not as it was written.
    """
    if not (path / STATE).is_file() or not (path / _TENSORS).is_file():
        raise FileNotFoundError(f"No checkpoint in '{path}' (looked for {STATE} and {_TENSORS}).")
    rest, tensors = load_hashed_json(path / STATE), load_tensors(path / _TENSORS)
    try:
        return _unflatten(rest, tensors)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"'{path / STATE}' is damaged: it does not describe a state: {error!r:.80}") from error


def _checkpoints(folder: Path) -> Iterator[Path]:
    """List a folder's checkpoints, the last one first."""
    there = folder.iterdir() if folder.is_dir() else ()
    found = [(int(match[1]), path) for path in there if (match := _NAME.fullmatch(path.name))]
    return iter([path for _, path in sorted(found, reverse=True)])


def _remove_partial(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote its first checkpoint."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, np.ndarray):
        tensors[name] = torch.from_numpy(value)
        return {"array": name}
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _flatten(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_flatten(item, f"{name}/{place}", tensors) for place, item in enumerate(value)]}
    return {"value": value}


def _unflatten(node: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = node.items()
    if kind == "array":
        return tensors[content].numpy()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unflatten(item, tensors) for key, item in content}
    if kind == "list":
        return [_unflatten(item, tensors) for item in content]
    if kind == "value":
        return content
    raise ValueError(f"{kind!r} is no kind of value")


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


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
