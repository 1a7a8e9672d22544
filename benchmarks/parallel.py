"""Measure how much faster several processes train the VAE than one, with the same batch for each GPU.

    python benchmarks/parallel.py --out DIR [--device cuda] [--processes 2] [--batch 512] [--size 64] [--width large]
    python benchmarks/parallel.py --out DIR --recipe --batch 160 [--limit 500]

It starts torchrun for one process and for `--processes`, one after the other on the same machine. Each trains in the
ways that the device has: CUDA graphs, as `handlatent train` does, torch.compile, and graphs of kernels that
torch.compile has fused; on a CPU, kernel by kernel. Each way is measured in two forms: the bare step of `vae.Trainer`,
and the step of HandLatent-v0 with no shift, as `handlatent train --agent none` takes it. All take turns in blocks of
steps.

With `--recipe`, it measures the steps of `handlatent recipe` in place of these, at 128 pixels: without critics, with
critics of patches, and with critics of features too.

It prints images/s (the median block, with its quartiles), the ratio to one process, and the time that one message of
all gradients takes by itself. Two H100s should reach a ratio of at least 1.8. All is written to DIR/parallel.json. On
two H100s it should take three minutes; after `--limit` seconds it stops, and keeps what it has measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipe import CONFIG, HANDS, KINDS, begin

from agents.runs.run_folder import versions
from hand_env import HandLatentEnv
from vae import VAEConfig
from vae.acceleration import parallel
from vae.adversarial.batches import Batches
from vae.adversarial.training import AHEAD, AdversarialTrainer
from vae.device import resolve_device
from vae.images.labelled.synthetic_pool import render_right_hands
from vae.model import count_parameters
from vae.training import Trainer

FILE = "parallel.json"
WAYS: dict[str, dict[str, dict[str, bool]]] = {  # and the training's settings
    "cuda": {
        "CUDA graphs": {},
        "torch.compile": {"compiled": True, "graphed": False},
        "fused graphs": {"compiled": True},
    },
    "cpu": {"eager": {}},
}
HEAD = f"{'way':>14} {'form':>18} {'processes':>10} {'images/s':>10} {'quartiles':>18} {'ratio':>6}"


def main() -> None:
    """Start torchrun twice, then print and write the table; or, inside torchrun, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="'auto', 'cpu' or 'cuda'")
    parser.add_argument("--processes", type=int, default=2, help="on CUDA, as many GPUs")
    parser.add_argument("--batch", type=int, default=512, help="pictures for each process and step")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--width", default="large")
    parser.add_argument("--ways", nargs="+", choices=WAYS["cuda"], help="on a GPU; default: all")
    parser.add_argument("--recipe", action="store_true", help="measure the recipe's VAE, of 128 pixels")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--steps", type=int, default=10, help="steps in a block")
    parser.add_argument("--limit", type=float, default=200.0, help="seconds for all")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {FILE}")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        with parallel.process_group(args.device):
            work(args)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in vars(args).items() if name not in ("out", "worker")}
    record = {"settings": settings, "versions": versions(), **measured(args, time.monotonic() + args.limit)}
    (args.out / FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    show(record)


def measured(args: argparse.Namespace, until: float) -> dict[str, Any]:
    """Run torchrun for one process and for several, and join what they wrote."""
    found: dict[str, Any] = {"rows": []}
    for processes in (1, args.processes):
        file = args.out / f".{processes}.json"
        file.unlink(missing_ok=True)
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        words += [__file__, *sys.argv[1:], "--worker", str(file)]
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}  # for each process
        with subprocess.Popen(words, env=environment) as job:
            try:
                status = job.wait(max(1.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                job.terminate()  # torchrun ends its processes
                status = job.wait()
        if status:
            print(f"{processes} processes did not finish: exit status {status}.", file=sys.stderr)
        if file.exists():
            part = json.loads(file.read_text(encoding="utf-8"))
            found = {**part, "rows": found["rows"] + part["rows"]}
            file.unlink()
    one = {(row["way"], row["form"]): row["images_per_second"] for row in found["rows"] if row["processes"] == 1}
    for row in found["rows"]:
        alone = one.get((row["way"], row["form"]))
        row["ratio"] = None if alone is None else row["images_per_second"] / alone
    return found


def work(args: argparse.Namespace) -> None:
    """Measure all ways; the main process writes after each, so that a time limit loses only what is not done."""
    kind = torch.device(resolve_device(args.device)).type
    if args.recipe:
        work_on_recipe(args, kind)
        return
    batch = args.batch * parallel.world_size()
    rows: list[dict[str, Any]] = []
    shape = (max(1024, batch), 3, args.size, args.size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for way in args.ways or WAYS[kind]:
        training = WAYS[kind][way]
        env = HandLatentEnv(
            images, width=args.width, batch_size=batch, epochs_per_episode=10_000, training=training, device=kind
        )
        env.reset(seed=0)
        found = {"way": way, "processes": parallel.world_size(), "pictures_a_process": args.batch}
        rows += [{**found, **row} for row in measured_forms(env, args.blocks, args.steps)]
        keep(args.worker, kind, count_parameters(env.trainer.vae), rows)


def keep(file: Path, kind: str, parameters: int, rows: list[dict[str, Any]]) -> None:
    """Write what the main process has measured so far."""
    if parallel.is_main():
        device = torch.cuda.get_device_name() if kind == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
        file.write_text(json.dumps({"device": device, "parameters": parameters, "rows": rows}), encoding="utf-8")


def work_on_recipe(args: argparse.Namespace, kind: str) -> None:
    """Measure the steps of the recipe's VAE, with its batches, in blocks of a multiple of the batches made at once."""
    hands, half = render_right_hands(HANDS, seed=1, workers=0), HANDS // 2
    batches = Batches(hands.take(slice(half)).to(kind), hands.take(slice(half, HANDS)).to(kind))
    settings = replace(CONFIG, batch=args.batch * parallel.world_size())
    run = AdversarialTrainer(settings, VAEConfig(128, 300, args.width), batches, kind)
    steps, rows = -(-args.steps // AHEAD) * AHEAD, []
    for form, (share, _) in KINDS.items():
        begin(run, share)
        seconds = in_turns({form: run.step}, args.blocks, steps, kind)[form]
        row = {"way": "recipe", "form": form, "processes": parallel.world_size(), "pictures_a_process": args.batch}
        rows.append({**row, **rates(settings.batch * steps, seconds)})
        keep(args.worker, kind, count_parameters(run.vae), rows)


def measured_forms(env: HandLatentEnv, blocks: int, steps: int) -> list[dict[str, Any]]:
    """Measure the step in both forms, and one message of all gradients by itself."""
    action = np.zeros(env.action_space.shape or (), np.float32)
    gradients = [torch.zeros_like(parameter) for parameter in env.trainer.vae.parameters()]
    kind, pictures = env.trainer.device.type, env.training.batch_size * steps
    bare, acted = partial(bare_step, env.trainer), partial(env.step, action)
    times = in_turns({"bare": bare, "environment": acted}, blocks, steps, kind)
    message = in_turns({"message": partial(parallel.all_reduce_mean, gradients)}, blocks, steps, kind)["message"]
    rows = []
    for form, seconds in times.items():
        rows.append({"form": form, **rates(pictures, seconds), "message_ms": 1000 * float(np.median(message)) / steps})
    return rows


def rates(pictures: int, seconds: list[float]) -> dict[str, Any]:
    """Return the images/s of the median block, and their quartiles."""
    low, middle, high = (float(pictures / np.quantile(seconds, share)) for share in (0.75, 0.5, 0.25))
    return {"images_per_second": middle, "quartiles": [low, high]}


def bare_step(trainer: Trainer) -> None:
    """Take a step, and encode the next minibatch when the environment does it."""
    trainer.step()
    trainer.encode()


def in_turns(forms: Mapping[str, Callable[[], Any]], blocks: int, steps: int, kind: str) -> dict[str, list[float]]:
    """Return the seconds of each block of steps, after two blocks that warm up."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(blocks + 2):
        for name, step in forms.items():
            begin = time.perf_counter()
            for _ in range(steps):
                step()
            if kind == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - begin)
    return {name: own[2:] for name, own in times.items()}


def show(record: dict[str, Any]) -> None:
    """Print the table."""
    settings = record["settings"]
    model = f"{record.get('parameters', 0) / 1e6:.2f} M parameters"
    pictures = f"{settings['batch']} pictures of {128 if settings['recipe'] else settings['size']} pixels"
    print(f"{record.get('device', 'nothing')} for each process, {pictures}, {model}")
    print(HEAD)
    for row in record["rows"]:
        low, high = row["quartiles"]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(
            f"{row['way']:>14} {row['form']:>18} {row['processes']:10} {row['images_per_second']:10,.0f} "
            f"{f'{low:,.0f} to {high:,.0f}':>18} {ratio:>6}"
        )
    for row in record["rows"]:
        if row["processes"] > 1 and row["form"] == "bare":
            print(f"{row['way']}: one message of all gradients, by itself, takes {row['message_ms']:.2f} ms.")


if __name__ == "__main__":
    main()
