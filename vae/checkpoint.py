"""Save nested state as safetensors and JSON, atomically; loading never unpickles.

A state is any nesting of dicts (keys: str or int), lists, tensors, numpy arrays and plain JSON values, such as
PyTorch's own state dicts. The tensors go to one safetensors file, everything else to one JSON file.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_TENSORS, _REST = "tensors.safetensors", "state.json"
_NAME = re.compile(r"step-(\d+)")


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors to one safetensors file, atomically.

    Args:
        path: The file; its folder must exist.
        tensors: Tensors by name, of any shape and on any device.
        metadata: Short notes for the file's header.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    partial = _partial(path)
    partial.touch()
    usual = partial.stat().st_mode
    save_file(plain, partial, dict(metadata) if metadata else None)
    partial.chmod(usual)  # save_file makes the file readable by its owner only
    _replace(partial, path)


def save_text(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the complete old file or the complete new one."""
    partial = _partial(path)
    partial.write_text(text, encoding="utf-8")
    _replace(partial, path)


def save_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; raise ValueError for NaN and infinity."""
    save_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def copy_file(path: Path, target: Path) -> None:
    """Copy a file atomically."""
    partial = _partial(target)
    shutil.copyfile(path, partial)
    _replace(partial, target)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of one step, then delete those of earlier steps.

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
    partial = folder / f".partial-{uuid4().hex}"
    partial.mkdir()  # with the rights that the umask gives, unlike tempfile's
    tensors: dict[str, Tensor] = {}
    rest = _flatten(state, "", tensors)
    save_tensors(partial / _TENSORS, tensors)
    save_json(partial / _REST, rest)
    partial.rename(target)
    _sync(folder)
    for old in folder.iterdir():
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint with the highest step in a folder, or None if there is none."""
    if not folder.is_dir():
        return None
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return max(found)[1] if found else None


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote.

    Args:
        path: A checkpoint's folder.

    Returns:
        The state, with its tensors on the CPU.

    Raises:
        FileNotFoundError: If the folder holds no checkpoint.
    """
    if not (path / _REST).is_file():
        raise FileNotFoundError(f"No checkpoint in '{path}' (looked for {_REST} and {_TENSORS}).")
    tensors = load_file(path / _TENSORS)
    return _unflatten(json.loads((path / _REST).read_text(encoding="utf-8")), tensors)


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
    return content


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _replace(partial: Path, path: Path) -> None:
    with partial.open("rb+") as file:  # Windows refuses to sync a file that is open for reading alone
        os.fsync(file.fileno())
    partial.replace(path)


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
