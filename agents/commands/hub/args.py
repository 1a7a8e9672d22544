"""The arguments of `handlatent hub pull` and `handlatent hub push`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.command_line.flags import SWITCH
from agents.runs.hub import is_hub_name


@dataclass(frozen=True)
class HubPullArgs:
    """Fetch a set of weights from the Hugging Face hub into a folder. Needs the extra 'hub'."""

    name: str = field(metadata={"positional": True, "custom_args": {"metavar": "OWNER/NAME"}})
    """Name of the set on the hub. 'OWNER/NAME@REVISION' takes a branch, a tag or a commit."""
    out: Path = Path("package")
    """Folder for the files."""


@dataclass(frozen=True)
class HubPushArgs:
    """Send a set of weights, its card and its agent to the Hugging Face hub. Needs the extra 'hub' and a token."""

    folder: Path = field(metadata={"positional": True, "custom_args": {"metavar": "FOLDER"}})
    """Folder of a set that `handlatent package` wrote."""
    name: str = field(metadata={"positional": True, "custom_args": {"metavar": "OWNER/NAME"}})
    """Name of the set on the hub; the repository is made if it is missing."""
    private: bool = field(default=False, metadata=SWITCH)
    """Whether only those who may see the repository can fetch the set."""


def check_pull(args: HubPullArgs) -> None:
    """Refuse a name that no set on the hub can have.

    Raises:
        ValueError: If it has another form.
    """
    if not is_hub_name(args.name):
        raise ValueError(f"OWNER/NAME must look like 'owner/name' or 'owner/name@revision', got {args.name!r:.80}.")


def check_push(args: HubPushArgs) -> None:
    """Refuse a name that no repository of the hub can have.

    Raises:
        ValueError: If it has another form.
    """
    if not is_hub_name(args.name) or "@" in args.name:
        raise ValueError(f"OWNER/NAME must look like 'owner/name', got {args.name!r:.80}.")
