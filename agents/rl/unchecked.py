"""Let `torch.distributions` take arguments without a check."""

from threading import Lock

from torch.distributions import Distribution


class Unchecked:
    """A context without checks. All threads share torch's switch, so the last one that leaves restores it."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self._lock, self._inside, self._before = Lock(), 0, False

    def __enter__(self) -> None:
        """Turn the checks off, unless another thread has."""
        with self._lock:
            if self._inside == 0:
                self._before = Distribution._validate_args
                Distribution.set_default_validate_args(False)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Restore the checks, unless another thread still needs them off."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Distribution.set_default_validate_args(self._before)


UNCHECKED = Unchecked()  # there is one switch, so there is one of these
