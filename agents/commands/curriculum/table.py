"""Write the tables: one row for each way of acting, one column for each N and sampler, means over seeds."""

from collections.abc import Callable, Sequence

from agents.commands.curriculum.methods import order_of
from agents.commands.curriculum.store import VAERecord
from agents.figures.intervals import Column, student
from agents.figures.markdown import markdown_table
from agents.figures.samplers import SAMPLERS
from agents.figures.yardstick import COLUMNS
from agents.runs.packed_pictures import ALL
from vae.distribution.half_samples import Estimate

ABSENT = "-"
SHOWN = ("correct", "anatomical", "skin", "plain", "new", "sharpness")
OF_VAES = {
    "validation_loss_nats": Column("loss on validation people, nats per picture", 1, 0, float("inf")),
    "validation_kl_nats": Column("KL divergence on validation people, nats per picture", 1, 0, float("inf")),
}
Read = Callable[[VAERecord], Estimate | None]


def make_tables(records: Sequence[VAERecord], figures: Sequence[str] = SHOWN) -> str:
    """Write the tables of all records in Markdown.

    Args:
        records: The records of one curriculum.
        figures: Names from `yardstick.COLUMNS`; each gets a table for each number of epochs.

    Returns:
        The tables with their headings, and notes on intervals and on what is left out.
    """
    parts = []
    for name in figures:
        for epochs in _epochs(records):
            heading = f"{COLUMNS[name].heading}, {_passes(epochs)}"
            parts.append(f"{heading}:\n\n{_of_hands(records, name, epochs)}")
    for name, column in OF_VAES.items():
        for epochs in _epochs(records):
            parts.append(f"{column.heading}, {_passes(epochs)}:\n\n{_of_vaes(records, name, epochs)}")
    return "\n\n".join([*parts, *_notes(records)])


def _of_sampler(sampler: str, name: str) -> Read:
    return lambda record: record.samplers.get(sampler, {}).get(name)


def _of_hands(records: Sequence[VAERecord], name: str, epochs: int) -> str:
    columns: dict[str, tuple[str, Read]] = {}
    for n in _counts(records, epochs):
        for sampler in SAMPLERS:
            columns[f"{n}, {sampler}"] = n, _of_sampler(sampler, name)
    return _lay_out(records, epochs, columns, COLUMNS[name])


def _of_vaes(records: Sequence[VAERecord], name: str, epochs: int) -> str:
    def read(record: VAERecord) -> Estimate | None:
        value = record.vae.get(name)
        return None if value is None else Estimate(value, value, value)

    return _lay_out(records, epochs, {n: (n, read) for n in _counts(records, epochs)}, OF_VAES[name])


def _lay_out(records: Sequence[VAERecord], epochs: int, columns: dict[str, tuple[str, Read]], column: Column) -> str:
    lines = []
    for method in sorted({record.method for record in records if record.epochs == epochs}, key=order_of):
        own = [record for record in records if (record.method, record.epochs) == (method, epochs)]
        texts = [_text([read(record) for record in own if record.n == n], column) for n, read in columns.values()]
        lines.append([method, *texts])
    used = [0, *(place for place in range(1, len(columns) + 1) if any(line[place] != ABSENT for line in lines))]
    heads = ["N, sampler" if any("," in head for head in columns) else "N", *columns]
    return markdown_table([heads[place] for place in used], [[line[place] for place in used] for line in lines])


def _text(found: Sequence[Estimate | None], column: Column) -> str:
    there = [each for each in found if each is not None]
    if not there:
        return ABSENT
    return column.text(column.clip(over_seeds(there)))


def over_seeds(found: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds with its 95 % interval by Student's t; a single seed keeps its own interval."""
    return found[0] if len(found) == 1 else student([each.value for each in found])


def _epochs(records: Sequence[VAERecord]) -> list[int]:
    return sorted({record.epochs for record in records})


def _counts(records: Sequence[VAERecord], epochs: int) -> list[str]:
    found = {record.n for record in records if record.epochs == epochs}
    return sorted(found, key=lambda n: float("inf") if n == ALL else int(n))


def _passes(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _notes(records: Sequence[VAERecord]) -> list[str]:
    seeds: dict[tuple[str, int, str], int] = {}
    for record in records:
        if not record.missing:
            place = record.n, record.epochs, record.method
            seeds[place] = seeds.get(place, 0) + 1
    counts = set(seeds.values())
    notes = []
    if max(counts, default=0) > 1:
        many = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        notes.append(f"Mean over {many} seeds (95 % interval by Student's t over seeds).")
    if 1 in counts:
        notes.append("One seed: (95 % interval over its hands; none for a loss or a divergence).")
    images = {record.images for record in records if record.n == ALL}
    if images:
        notes.append(f"'all' are {', '.join(f'{count:,}' for count in sorted(images))} training pictures.")
    for record in records:
        if record.missing:
            notes.append(
                f"Left out: {record.method}, N = {record.n}, {_passes(record.epochs)}, seed {record.seed}: "
                f"{record.missing}."
            )
    return notes
