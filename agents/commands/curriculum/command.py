"""The steps of `handlatent curriculum`: train groups of VAEs, measure what each draws, and write the tables."""

from typing import Any

from agents.commands.curriculum.args import CurriculumArgs, check_args, check_numbers
from agents.commands.curriculum.jobs import make_job
from agents.commands.curriculum.measuring import Measuring
from agents.commands.curriculum.methods import parse_method
from agents.commands.curriculum.store import VAERecord, VAEStore, check_join
from agents.commands.curriculum.table import make_tables
from agents.commands.curriculum.training import groups, train_group
from agents.figures.yardstick import Judges
from agents.runs.lock import held
from agents.runs.packed_pictures import PackedPictures, read_packed
from agents.runs.run_folder import sha256
from hand_env.anatomy import Judge
from hand_env.anatomy.weights import packaged_weights
from vae.device import resolve_device
from vae.progress import Bar, progress_bar, say


def curriculum(args: CurriculumArgs) -> str:
    """Train and measure all VAEs that the folder's figures lack.

    Args:
        args: Settings.

    Returns:
        The tables of all figures in the folder, in Markdown.

    Raises:
        FileNotFoundError: If the photographs do not exist, or a folder to join has no figures.
        ValueError: If a setting is wrong, or the folder is in use or holds figures from other settings.
    """
    check_args(args)
    for folder in args.join:
        check_join(folder)  # before any picture is rendered
    with held(args.out):
        return _curriculum(args)


def _curriculum(args: CurriculumArgs) -> str:
    device = resolve_device(args.device)
    judges = Judges(
        Judge.load(args.parser, device=device), Judge.load(args.reporter, architecture="reporter", device=device)
    )
    pictures = read_packed(args.data, args.images, args.size, args.pack)
    check_numbers(args, len(pictures.training))
    store = VAEStore(args.out, _settings(args, pictures))
    for folder in args.join:
        store.join(folder)
    on_device = pictures.to(device)
    measuring = Measuring(judges, on_device, store, args)
    columns = [(epochs, n) for epochs in args.epochs for n in args.n]
    with progress_bar(
        title="Training and measuring",
        unit="VAEs",
        total=len(columns) * len(args.seeds) * len(args.methods),
        leave=True,
    ) as bar:
        for epochs, n in columns:
            _fill_column(n, epochs, on_device, measuring, args, device, bar)
    return make_tables(store.records)


def _fill_column(
    n: str, epochs: int, pictures: PackedPictures, measuring: Measuring, args: CurriculumArgs, device: str, bar: Bar
) -> None:
    """Train and measure the VAEs of one N and one number of epochs."""
    jobs = [
        make_job(n, epochs, parse_method(word), seed, images, args)
        for seed, images in ((seed, pictures.choose(n, seed)) for seed in args.seeds)
        for word in args.methods
    ]
    lacking = [job for job in jobs if measuring.lacking(job)]
    bar.total -= len(jobs) - len(lacking)
    for group in groups(lacking, args.side_by_side):
        for record in measuring.measure(train_group(group, args, device)):
            _report(record)
            bar.update()


def _report(record: VAERecord) -> None:
    right = ", ".join(f"{name} {found['correct'].value:.1%}" for name, found in record.samplers.items())
    say(
        f"N = {record.n}, {record.epochs} epochs, {record.method}, seed {record.seed}: "
        f"{record.missing or right + ' correct'}; {sum(record.seconds.values()):.1f} s"
    )


def _settings(args: CurriculumArgs, pictures: PackedPictures) -> dict[str, Any]:
    """Return what all figures depend on; the versions stand beside it, so that machines may differ in them."""
    return {
        "pictures_sha256": pictures.sha256,
        "size": args.size,
        "latent_dim": args.latent_dim,
        "learning_rate": args.learning_rate,
        "hands": args.hands,
        "prior_steps": args.prior_steps,
        "parser_sha256": sha256(args.parser or packaged_weights("parser")),
        "reporter_sha256": sha256(args.reporter or packaged_weights("reporter")),
    }
