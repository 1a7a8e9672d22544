"""Take some rows of a batch that is stored in the fields of a dataclass."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from torch import Tensor

Batch = TypeVar("Batch")


def take(batch: Batch, rows: Tensor) -> Batch:
    """Return a copy that keeps only the given rows.

    Args:
        batch: A dataclass whose fields hold n rows each: tensors, tuples, or dataclasses of the same kind.
        rows: (m,) int64.

    Returns:
        The same dataclass with m rows.
    """
    names = [field.name for field in fields(batch)]  # type: ignore[arg-type]  # always a dataclass
    chosen = {name: _take(getattr(batch, name), rows) for name in names}
    return type(batch)(**chosen)


def _take(value: Any, rows: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[rows]
    if isinstance(value, tuple):
        return tuple(value[row] for row in rows.tolist())
    return take(value, rows)
