"""Measure what selection gives: the rewarding judge selects the hands that a larger prior is fitted to.

Run `python benchmarks/selection.py RUN --data path/to/11k-hands --device cuda`; it takes about five minutes on an H100.
RUN comes from `handlatent recipe --candidates 0`, so that its prior is the first one. That prior draws candidates, and
the judge says which are right and how near each is to a training photograph. For each share of --near, a larger prior
is fitted to the right candidates that are further away than this share of other people's photographs. Each line of the
table draws hands from one of the priors, with other settings of the sampler, and measures them as `handlatent compare`
does.

--out keeps the figures; `python benchmarks/selection.py --table FILE` lays them out again.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.commands.compare.figures import Gauge, Instruments
from agents.commands.compare.photographs import read_photographs
from agents.commands.recipe import selection
from agents.runs.run import SAMPLER_FILES, load_run
from agents.runs.run_folder import versions
from hand_env.anatomy import Judge, Known
from vae.device import resolve_device
from vae.distribution import NETWORKS, PictureFeatures
from vae.evaluation import decode_all
from vae.files import save_json
from vae.images import SPLIT_SEED, load_hands11k, split_by_group, to_float
from vae.sampling.flow import FlowPrior
from vae.sampling.reencoded import Reencoded

SETTINGS = ((1.0, 0.0, 0), (0.9, 0.4, 1))  # temperature, final denoise, passes
NEAR = (0.01, 0.05, 0.15, 0.35)
COLUMNS: dict[str, tuple[str, float, int]] = {  # title, factor, and digits behind the point
    "accepted": ("accepted", 1, 0),
    "temperature": ("temperature", 1, 1),
    "final_denoise": ("final denoise", 1, 1),
    "reencoded": ("passes", 1, 0),
    "correct": ("correct %", 100, 1),
    "new": ("new %", 100, 1),
    "new_by_features": ("new by features %", 100, 1),
    "coverage": ("coverage", 1, 2),
    "density": ("density", 1, 2),
    "kernel_distance": ("kernel distance", 1000, 1),
    "sharpness": ("sharpness", 1, 2),
}


class Bench:
    """Measure priors of one run."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Load the run, the judges and the photographs."""
        self.args, device = args, resolve_device(args.device)
        run = load_run(args.run)
        self.vae = run.vae.to(device)
        self.judge = Judge.load(device=device)
        reporter = Judge.load(architecture="reporter", device=device)
        instruments = Instruments(self.judge, reporter, PictureFeatures(args.features, device))
        self.gauge = Gauge(instruments, read_photographs(args.data, self.vae.size, SPLIT_SEED))
        found = load_hands11k(args.data, self.vae.size, irregularities="exclude")
        split = split_by_group(found.groups, found.all_groups, seed=SPLIT_SEED)
        training, others = to_float(found.pixels[split.train]), to_float(found.pixels[split.validation])
        self.known = [Known(self.judge, training, others, share) for share in args.near]
        self.rows: list[dict[str, Any]] = []

    def verdicts(self, images: Tensor) -> selection.Judged:
        """Say which pictures are right, and which are new by each of the limits."""
        right, features = selection.right_and_new(self.judge, None)(images)
        new = [known.novelty(images, features).new.to(right.device) for known in self.known]
        return selection.Judged(torch.stack([right[:, 0], *new], 1), features)

    def measure(self, name: str, prior: FlowPrior, accepted: int | None = None) -> None:
        """Draw hands from a prior with each of the settings, and measure them."""
        prior.to(self.vae.log_variance.device)
        for temperature, final_denoise, passes in SETTINGS:
            own = FlowPrior(prior.velocity, prior.mean, prior.scale, temperature, final_denoise)
            latents = Reencoded(own, self.vae, passes).sample(self.args.n, self.args.seed + 1)
            figures = self.gauge.measure(decode_all(self.vae, latents)).figures
            row = {
                "prior": name,
                "accepted": accepted,
                "temperature": temperature,
                "final_denoise": final_denoise,
                "reencoded": passes,
            }
            self.rows.append({**row, **{name: figures[name].value for name in COLUMNS if name not in row}})
            print(_line(self.rows[-1], COLUMNS), flush=True)


def table(content: dict[str, Any]) -> str:
    """Return a file of --out as a Markdown table, with the columns that it has."""
    rows = content["rows"]
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    heads = ["prior", *(COLUMNS[name][0] for name in columns)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *(_line(row, columns) for row in rows)])


def _line(row: dict[str, Any], columns: Iterable[str]) -> str:
    cells = [row["prior"]]
    for name in columns:
        _, factor, digits = COLUMNS[name]
        cells.append("" if row.get(name) is None else f"{factor * row[name]:,.{digits}f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, or lay out a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--near", type=float, nargs="+", default=NEAR, help="shares, each 0..1")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--flow-steps", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features", choices=tuple(NETWORKS), default="lite2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    if args.table is not None:
        print(table(json.loads(args.table.read_text(encoding="utf-8"))))
        return
    if args.run is None or args.data is None:
        parser.error("RUN and --data are needed, or --table")
    if json.loads((args.run / "report.json").read_text(encoding="utf-8")).get("selection"):
        parser.error(f"the prior of {args.run} is already a selected one: run handlatent recipe --candidates 0")
    bench = Bench(args)
    first = FlowPrior.load(args.run / SAMPLER_FILES["prior"][0])
    bench.measure("first", first)
    drawn = selection.draw_candidates(first, bench.vae, bench.verdicts, args.candidates, args.seed)
    for column, share in enumerate(args.near, 1):
        accepted = drawn.latents[drawn.holds[:, 0] & drawn.holds[:, column]]
        prior, _ = selection.fit_to_selected(accepted, steps=args.flow_steps, seed=args.seed)
        bench.measure(f"selected, {100 * share:g} %", prior, len(accepted))
    facts = {"n": args.n, "candidates": args.candidates, "features": args.features}
    if args.out is not None:
        save_json(args.out, {"versions": versions(), **facts, "rows": bench.rows})


if __name__ == "__main__":
    main()
