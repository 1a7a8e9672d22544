"""The command `handlatent hub push`: send a set of weights, its card and its agent to the hub."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.commands.hub.args import HubPushArgs, check_push
from agents.commands.hub.sb3_zip import write_zip
from agents.runs.hub import CARD, asking, import_hub, in_a_line
from agents.runs.manifest import read_manifest
from agents.runs.packaged import is_package, read_package
from agents.runs.run_folder import MANIFEST
from vae.progress import progress_bar

_SECTION = "\n## From the hub\n"


def push_set(args: HubPushArgs) -> str:
    """Send the files that package.json lists, the card, and the agent as Stable-Baselines3 saves one.

    Args:
        args: Settings.

    Returns:
        The address of the commit.

    Raises:
        ImportError: If the extra `hub` is not installed.
        ValueError: If the name is not valid, the set or its card is damaged, there is no token, or the hub refuses.
        ConnectionError: If the hub cannot be reached.
    """
    check_push(args)
    if not is_package(args.folder):
        raise ValueError(f"'{args.folder}' is no set of weights: it has no {MANIFEST}. Write one: handlatent package")
    hub = import_hub(args.name)
    if hub.get_token() is None:
        raise ValueError(
            "The hub takes a set from those who are logged in. Log in with: hf auth login, or set HF_TOKEN"
        )
    run = read_package(args.folder)
    with tempfile.TemporaryDirectory() as made:
        files = {name: args.folder / name for name in (*read_manifest(args.folder)["sha256"], MANIFEST)}
        zipped = None if run.refiner is None else write_zip(run.refiner, run.vae, Path(made))
        files |= {} if zipped is None else {zipped.name: zipped}
        card = hub_card(hub, args.folder / CARD, args.name, None if zipped is None else zipped.name)
        return _send(hub, args, {**files, CARD: card.encode()})


def hub_card(hub: ModuleType, path: Path, name: str, zipped: str | None) -> str:
    """Return a set's card as the hub shows it.

    Args:
        hub: huggingface_hub.
        path: The card.
        name: Name of the set on the hub.
        zipped: Name of the file with the agent for Stable-Baselines3; None if there is none.

    Returns:
        The card, with a section that says how the set is fetched. `datasets` holds names of the hub alone.

    Raises:
        ValueError: If there is no card, or huggingface_hub cannot read its front matter, or that names no licence.
    """
    from yaml import YAMLError  # huggingface_hub brings it

    advice = "Pack the run again with: handlatent package"
    if not path.is_file():
        raise ValueError(f"'{path}' is missing: a set on the hub needs its card. {advice}")
    try:
        card = hub.ModelCard(path.read_text(encoding="utf-8"))
    except (ValueError, YAMLError) as error:
        raise ValueError(f"'{path}' has a front matter that cannot be read: {in_a_line(error)}. {advice}") from error
    if not card.data.license:
        raise ValueError(f"'{path}' must name a licence in its front matter, and names none. {advice}")
    card.data.datasets = [each for each in card.data.datasets or [] if "/" in each] or None
    card.text = card.text.partition(_SECTION)[0].rstrip("\n") + "\n" + _SECTION + _fetched(name, zipped)
    return str(card)


def _fetched(name: str, zipped: str | None) -> str:
    text = (
        f'\nIn Python: `agents.load_packaged("{name}")`. On the command line: `handlatent hub pull {name} --out set`, '
        "then `handlatent generate set`. Both check the SHA-256 of each file, and unpickle nothing.\n"
    )
    if zipped is None:
        return text
    return text + (
        f"\n`{zipped}` is the agent as Stable-Baselines3 saves one, to be read with `SAC.load` where handlatent is "
        "installed. Its actor is trained, its critics are not. `SAC.load` unpickles it; handlatent never reads it.\n"
    )


def _send(hub: ModuleType, args: HubPushArgs, files: dict[str, Path | bytes]) -> str:
    api = hub.HfApi()
    with asking(args.name):
        api.create_repo(args.name, private=args.private or None, exist_ok=True)
        open_to_all = args.private and not api.model_info(args.name).private
    if open_to_all:
        raise ValueError(
            f"--private: {args.name!r} is on the hub already, and everybody can see it. Make it private there, or "
            "choose another name."
        )
    add = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=file) for name, file in files.items()]
    with asking(args.name), hub.utils.disable_progress_bars():
        _send_large(api, args.name, add)
        sent = api.create_commit(args.name, add, commit_message="Send a set of weights from handlatent")
    return str(sent.commit_url)


def _send_large(api: Any, name: str, files: Sequence[Any]) -> None:
    """Upload large files before the commit, one by one, and show how much has arrived."""
    sizes = [file.upload_info.size // 1000 for file in files]
    with progress_bar(title="Sending", unit="KB", total=sum(sizes)) as bar:
        for file, size in zip(files, sizes, strict=True):
            api.preupload_lfs_files(name, [file])
            bar.update(size)
