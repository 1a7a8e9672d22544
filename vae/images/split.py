"""Split pictures into training, validation and test sets, by group and never by picture."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SPLIT_SEED = 0
"""The project's own split of 11k Hands: judges, recipe, reports and comparison keep its test people apart."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the training, validation and test pictures.

    Attributes:
        train: (n_train,) int64, ascending.
        validation: (n_validation,) int64, ascending.
        test: (n_test,) int64, ascending.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def split_by_group(
    groups: Sequence[str],
    all_groups: Sequence[str],
    *,
    seed: int,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> Split:
    """Assign every group to one side, which depends only on the seed and the source.

    The seed shuffles the groups of the source. The first share goes to the test, the next to validation, the rest to
    training. A group's side depends only on the seed and `all_groups`, not on which pictures are chosen or present.
    With three groups or more, training and each side with a fraction above zero get at least one group. A small choice
    of pictures may still leave validation or test empty. If it would leave training empty, its last group in the
    shuffled order moves to training. Only then does a group change sides.

    Args:
        groups: The group of each picture.
        all_groups: Every group of the source, in any order; duplicates are ignored.
        seed: Seed of the shuffle.
        fractions: Shares of the groups for training, validation and test; they add up to 1.

    Returns:
        Indices into `groups`; every picture is on exactly one side.

    Raises:
        ValueError: If there is no picture, a group is not in `all_groups`, or the fractions are invalid.
    """
    if not groups:
        raise ValueError("groups must name at least one picture's group, got none. Load pictures first.")
    if unknown := set(groups) - set(all_groups):
        raise ValueError(
            f"groups must all be in all_groups, got {min(unknown)!r}. Pass ImageSet.groups and ImageSet.all_groups."
        )
    if min(fractions) < 0 or fractions[0] == 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must be shares that add up to 1, the first above 0, got {fractions!r}.")
    order = sorted(set(all_groups), key=lambda group: _rank(seed, group))
    n_test, n_validation = (_share(fraction, len(order)) for fraction in (fractions[2], fractions[1]))
    excess = max(0, n_test + n_validation + 1 - len(order))  # of shares rounded up: training keeps one group
    n_test, n_validation = (n_test - excess, n_validation) if n_test > n_validation else (n_test, n_validation - excess)
    test, validation = set(order[:n_test]), set(order[n_test : n_test + n_validation])
    if set(groups) <= test | validation:
        last = max(set(groups), key=order.index)
        test, validation = test - {last}, validation - {last}
    return Split(
        train=_where([group not in test and group not in validation for group in groups]),
        validation=_where([group in validation for group in groups]),
        test=_where([group in test for group in groups]),
    )


def _rank(seed: int, group: str) -> bytes:
    """Place a group in the shuffled order; a group may be named after a file, whose name may be no valid text."""
    return hashlib.sha256(f"{seed}:{group}".encode(errors="surrogatepass")).digest()


def _share(fraction: float, n: int) -> int:
    if fraction == 0 or n < 3:
        return 0
    return max(1, round(fraction * n))


def _where(chosen: list[bool]) -> Tensor:
    return torch.tensor([index for index, yes in enumerate(chosen) if yes], dtype=torch.int64)
