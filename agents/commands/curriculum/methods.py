"""The ways of acting on a training, by name: `uniform-2`, `falling-6`, `kl-8`, `uniform-2+kl-4` and others."""

import math
from dataclasses import dataclass, replace

from hand_env.schedule.deltas import Deltas, Schedule, constant, falling

PAPER, AGENT, ROWS = "untrained", "schedule", "rows"
ALONE = (AGENT, ROWS)  # they train in an environment of their own, not side by side with others
NUMBERED = ("uniform", "falling", "kl")
KINDS = ("", *NUMBERED, "both", PAPER, ROWS, AGENT)  # in the order of the table's rows
DEFAULT = (
    "none",
    *(f"uniform-{kappa}" for kappa in ("0.1", "0.3", "1", "2", "4", "8")),
    *(f"falling-{kappa}" for kappa in ("2", "4", "6")),
    *(f"kl-{weight}" for weight in ("2", "4", "8", "16", "32")),
    "uniform-2+kl-4",
    PAPER,
)
GRAMMAR = (
    "'none', 'uniform-2' (deltas of kappa 2), 'falling-6' (from 6 down to 0), 'kl-4' (KL term times 4), "
    "'untrained', 'schedule', 'rows', or one way of acting and a KL term, as in 'uniform-2+kl-4'"
)


@dataclass(frozen=True)
class TrainingMethod:
    """One way of acting on a training.

    Attributes:
        name: As the user writes it.
        acts: "", or what makes the shifts: "uniform", "falling", "untrained", "schedule" or "rows".
        kappa: How far uniform deltas reach, at the start of the training; 0 for other ways.
        kl_weight: Factor of the KL term in the objective.
    """

    name: str
    acts: str = ""
    kappa: float = 0.0
    kl_weight: float = 1.0

    @property
    def schedule(self) -> Schedule:
        """How the uniform deltas reach over the training; no reach for other ways of acting."""
        if self.acts == "falling":
            return falling(self.kappa)
        return constant(self.kappa if self.acts == "uniform" else 0.0)

    def deltas(self, done: float) -> Deltas:
        """Return the deltas when a share of the training, in [0, 1], is done."""
        return self.schedule(done)


def parse_method(name: str) -> TrainingMethod:
    """Read a method's name.

    Args:
        name: Such as "falling-6" or "uniform-2+kl-4".

    Returns:
        The method.

    Raises:
        ValueError: If the name is no method.
    """
    method = TrainingMethod(name)
    if name == "none":
        return method
    seen = set[str]()
    for term in name.split("+"):
        word, _, number = term.partition("-")
        part = "kl" if word == "kl" else "acts"
        if part in seen or not _is_term(word, number):
            raise ValueError(f"--methods must be {GRAMMAR}; got {name!r}.")
        seen.add(part)
        if word == "kl":
            method = replace(method, kl_weight=float(number))
        else:
            method = replace(method, acts=word, kappa=float(number or 0))
    return method


def order_of(name: str) -> tuple[int, str, float, float]:
    """Return a key that sorts the table's rows as the defaults are sorted."""
    method = parse_method(name)
    weighted = method.kl_weight != 1
    kind = "both" if method.acts and weighted else "kl" if weighted else method.acts
    return KINDS.index(kind), method.acts, method.kappa, method.kl_weight


def _is_term(word: str, number: str) -> bool:
    if word in (PAPER, *ALONE):
        return not number
    try:
        return word in NUMBERED and 0 < float(number) < math.inf
    except ValueError:
        return False
