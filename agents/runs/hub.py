"""Fetch sets of weights from the Hugging Face hub, or from its cache, with huggingface_hub (extra `hub`)."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.runs.manifest import NEEDED, OPTIONAL
from agents.runs.run_folder import MANIFEST
from vae.extras import needing_extra
from vae.progress import progress_bar

CARD = "README.md"
WANTED = (MANIFEST, *NEEDED, *OPTIONAL, CARD)  # all that a set can have; nothing else is ever fetched

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*", re.ASCII)
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def is_hub_name(name: str) -> bool:
    """Return whether a text can name a set on the hub: "owner/name" or "owner/name@revision"."""
    repository, at, revision = name.partition("@")
    return _NAME.fullmatch(repository) is not None and (not at or _REVISION.fullmatch(revision) is not None)


def import_hub(name: str) -> ModuleType:
    """Import huggingface_hub.

    Args:
        name: What is to be fetched or sent, for the error.

    Raises:
        ImportError: If the extra `hub` is not installed.
    """
    with needing_extra("hub", f"{name!r} names a set of weights on the hub, which"):
        import huggingface_hub
    found: ModuleType = huggingface_hub
    return found


def fetch(name: str) -> Path:
    """Fetch the files of a set of weights. A warning says so if the hub cannot be reached and its cache is used.

    The files are not checked here: see `agents.runs.packaged.read_package`.

    Args:
        name: "owner/name" or "owner/name@revision", where the revision is a branch, a tag or a commit.

    Returns:
        The folder in huggingface_hub's cache.

    Raises:
        ImportError: If the extra `hub` is not installed.
        ValueError: If the hub has no such set, or refuses to give it.
        ConnectionError: If the hub cannot be reached, and the cache does not hold the set.
    """
    hub = import_hub(name)
    repository, _, revision = name.partition("@")
    wanted = {"repo_id": repository, "revision": revision or None}
    offline = None
    try:
        with asking(name):  # snapshot_download takes the cache without a word
            found = hub.HfApi().model_info(**wanted, files_metadata=True)
            _fetch_each(hub, repository, found)
    except ConnectionError as error:
        offline = error
    try:
        with asking(name), hub.utils.disable_progress_bars():
            folder = hub.snapshot_download(**wanted, allow_patterns=list(WANTED), local_files_only=offline is not None)
    except hub.errors.LocalEntryNotFoundError as error:
        raise ConnectionError(f"{offline or in_a_line(error)} The cache does not hold the whole set either.") from error
    if offline is not None:
        warnings.warn(f"{offline} The set is read from the cache, '{folder}'.", stacklevel=3)
    return Path(folder)


def _fetch_each(hub: ModuleType, repository: str, found: Any) -> None:
    """Fetch the files one by one into the cache, and show how many bytes are there; the hub's own bars stay away."""
    sizes = {file.rfilename: (file.size or 0) // 1000 for file in found.siblings or [] if file.rfilename in WANTED}
    with (
        hub.utils.disable_progress_bars(),
        progress_bar(title="Fetching", unit="KB", total=sum(sizes.values())) as bar,
    ):
        for file, size in sizes.items():
            hub.hf_hub_download(repository, file, revision=found.sha)
            bar.update(size)


@contextmanager
def asking(name: str) -> Iterator[None]:
    """Say in one line what goes wrong while the hub is asked.

    Args:
        name: The set's name, for the errors.

    Raises:
        ValueError: If the hub refuses, or the name or the card is not valid there.
        ConnectionError: If it cannot be reached, or cannot work now.
    """
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except (HTTPError, OfflineModeIsEnabled) as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else _SERVER_ERROR
        if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
            raise ConnectionError(
                f"The hub cannot be reached for {name!r} ({in_a_line(error)}). Check the network."
            ) from error
        raise ValueError(
            f"The hub refuses {name!r} with status {status} ({in_a_line(error)}). Check the name, and for a private "
            "repository log in with: hf auth login"
        ) from error
    except ValueError as error:
        raise ValueError(f"The hub refuses {name!r}: {in_a_line(error)}.") from error


def in_a_line(error: Exception) -> str:
    """Return what an error of the hub says as one line without a full stop."""
    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return " ".join(said.split()).removesuffix(".")
