"""Save nested state as a checkpoint, a folder with one safetensors file and one JSON file, and load the last one.

A state is any nesting of dicts (keys: str or int), lists, tensors, numpy arrays and plain JSON values, such as
PyTorch's own state dicts. The tensors go to the safetensors file, everything else to the JSON file. `vae.files` writes
both.
"""

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from vae.files import DamagedError, load_hashed_json, load_tensors, save_hashed_json, save_tensors, writing

KEPT = 2  # checkpoints: the last one, and the one before in case the last is damaged
STATE = "state.json"  # of a checkpoint: all but its tensors
_TENSORS = "tensors.safetensors"
_NAME, _PARTIAL = re.compile(r"step-(\d+)"), ".partial-"


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
        if old not in kept and (_NAME.fullmatch(old.name) or old.name.startswith(_PARTIAL)):
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
    """Remove the files of a process that was killed while it wrote its first checkpoint."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    while name in tensors:  # "a/b" may be a key itself, or a key "b" of a dict "a"
        name += "'"
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


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
