"""The command `handlatent hub pull`: copy a set of weights from the hub into a folder."""

from pathlib import Path

from agents.commands.hub.args import HubPullArgs, check_pull
from agents.runs.hub import CARD, fetch
from agents.runs.lock import held
from agents.runs.manifest import HALVES, read_manifest
from agents.runs.packaged import read_package
from agents.runs.run_folder import MANIFEST, check_folder, claim_folder
from vae.files import copy_file


def pull_set(args: HubPullArgs) -> Path:
    """Fetch a set of weights, check it, and write it as `handlatent package` does; nothing is unpickled.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ImportError: If the extra `hub` is not installed.
        ValueError: If the name is none, the hub has no such set, the set is damaged, or the folder cannot be used.
        ConnectionError: If the hub cannot be reached, and its cache does not hold the set.
    """
    check_pull(args)
    with held(args.out):
        return _pull(args)


def _pull(args: HubPullArgs) -> Path:
    first = args.out / f"{HALVES[0]}.safetensors"
    if (args.out / MANIFEST).exists():
        raise ValueError(f"--out '{args.out}' already holds a set of weights. Choose another --out, or remove it.")
    check_folder(args.out, is_own=first.__eq__)  # a set that was not finished begins with it, and is written again
    fetched = fetch(args.name)
    read_package(fetched)
    claim_folder(args.out, is_own=first.__eq__)
    names = sorted(read_manifest(fetched)["sha256"], key=lambda name: name != first.name)
    card = [CARD] if (fetched / CARD).is_file() else []
    for name in (*names, *card, MANIFEST):
        copy_file(fetched / name, args.out / name)
    return args.out
