"""Measure what it gives that the rewarding judge selects what the learned prior is fitted to.

Run `python benchmarks/selection.py RUN --data path/to/11k-hands --device cuda`; it takes about four minutes on an H100.
RUN comes from `handlatent recipe --candidates 0`, so that its prior is the first one. That prior draws candidates, the
judge selects, and a prior of the same size and a larger one are fitted to what it accepts. Each line of the table draws
hands from one of the three, with other settings of the sampler, and measures them as `handlatent compare` does.

--out keeps the figures; `python benchmarks/selection.py --table FILE` lays them out again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from agents.commands.compare.figures import Gauge, Instruments
from agents.commands.compare.photographs import read_photographs
from agents.commands.recipe import selection
from agents.runs.run import SAMPLERS, load_run
from agents.runs.run_folder import versions
from hand_env.anatomy import Judge, Known
from vae.checkpoint import save_json
from vae.device import resolve_device
from vae.distribution import NETWORKS, PictureFeatures
from vae.evaluation import decode_all
from vae.images import SPLIT_SEED, load_hands11k, split_by_group, to_float
from vae.sampling.flow import BLOCKS, WIDTH, FlowPrior
from vae.sampling.reencoded import Reencoded

SETTINGS = ((1.0, 0.0, 0), (0.9, 0.4, 0), (0.9, 0.4, 1), (0.9, 0.4, 3))  # temperature, final denoise, passes
COLUMNS = {"correct": (100, 1), "new": (100, 1), "coverage": (1, 2), "density": (1, 2), "kernel_distance": (1000, 1)}
COLUMNS |= {"sharpness": (1, 2)}  # factor, and digits behind the point
HEADS = (
    *("prior", "temperature", "final denoise", "passes", "correct %", "new %", "coverage", "density"),
    *("kernel distance", "sharpness"),
)


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
        self.known = Known(self.judge, to_float(found.pixels[split.train]), to_float(found.pixels[split.validation]))
        self.rows: list[dict[str, Any]] = []

    def selected(self, prior: FlowPrior) -> Tensor:
        """Return the accepted candidates of a prior."""
        verdicts = selection.right_and_new(self.judge, self.known)
        return selection.select(prior, self.vae, verdicts, self.args.candidates, self.args.seed).latents

    def measure(self, name: str, prior: FlowPrior) -> None:
        """Draw hands from a prior with each of the settings, and measure them."""
        prior.to(self.vae.log_variance.device)
        for temperature, final_denoise, passes in SETTINGS:
            own = FlowPrior(prior.velocity, prior.mean, prior.scale, temperature, final_denoise)
            latents = Reencoded(own, self.vae, passes).sample(self.args.n, self.args.seed + 1)
            figures = self.gauge.measure(decode_all(self.vae, latents)).figures
            row = {"prior": name, "temperature": temperature, "final_denoise": final_denoise, "reencoded": passes}
            self.rows.append({**row, **{column: figures[column].value for column in COLUMNS}})
            print(_line(self.rows[-1]), flush=True)


def table(content: dict[str, Any]) -> str:
    """Return a file of --out as a Markdown table."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    return "\n".join([*lines, *(_line(row) for row in content["rows"])])


def _line(row: dict[str, Any]) -> str:
    cells = [row["prior"], *(f"{row[name]:g}" for name in ("temperature", "final_denoise", "reencoded"))]
    cells += [f"{factor * row[name]:.{digits}f}" for name, (factor, digits) in COLUMNS.items()]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, or lay out a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--candidates", type=int, default=100_000)
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
    first = FlowPrior.load(args.run / SAMPLERS["prior"][0])
    bench.measure("first", first)
    latents = bench.selected(first)
    for name, width, blocks in (("selected", WIDTH, BLOCKS), ("selected, larger", selection.WIDTH, selection.BLOCKS)):
        prior, _ = selection.fit_to_selected(latents, steps=args.flow_steps, seed=args.seed, width=width, blocks=blocks)
        bench.measure(name, prior)
    facts = {"n": args.n, "candidates": args.candidates, "accepted": len(latents), "features": args.features}
    if args.out is not None:
        save_json(args.out, {"versions": versions(), **facts, "rows": bench.rows})


if __name__ == "__main__":
    main()
