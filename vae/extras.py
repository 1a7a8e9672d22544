"""Import packages of an extra of this project, or say how to install it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needing_extra(extra: str, who: str) -> Iterator[None]:
    """Say which extra to install if an import inside `with` fails.

    Args:
        extra: Its name, as in pyproject.toml.
        who: What needs it, at the start of the message.

    Raises:
        ImportError: If a package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{who} needs the extra {extra!r}, and {error.name!r} is not installed. Install it in the checkout with: "
            f'pip install -e ".[{extra}]"'
        ) from error
