"""The command `handlatent recipe`: pre-training, fine-tuning, samplers and agents, one after another, in one folder.

Each stage writes its file and is skipped if the file exists; long stages also write checkpoints.
"""

import hashlib
import shutil
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.command_line.flags import check_above_zero, check_at_least, check_scales, check_seed, flag
from agents.command_line.shell_words import typed
from agents.commands.recipe.args import BEFORE, RecipeArgs
from agents.commands.recipe.first_prior import FirstPrior, fit_first_prior, pool
from agents.commands.recipe.latent_agent import train_latent_agent
from agents.commands.recipe.pictures import (
    RecipePictures,
    gather,
    read_photographs,
    some_synthetic_hands,
    synthetic_hands,
)
from agents.commands.recipe.rejection import check_accept, learn_to_reject
from agents.commands.recipe.selection import (
    FEWEST,
    NEAR,
    VERDICTS,
    Candidates,
    draw_candidates,
    fit_to_selected,
    likeness,
    right_and_new,
)
from agents.commands.recipe.stages import SECONDS, Stages
from agents.commands.refine.args import RefineArgs
from agents.commands.refine.command import refine_run
from agents.figures.plots import Panel, binned, save_curves
from agents.runs import run_folder
from agents.runs.checkpointing import Checkpointer
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import OBJECT, OBJECTS
from agents.runs.lock import held
from agents.runs.pictures import SYNTHETIC
from agents.runs.run import SAMPLER_FILES, load_run
from hand_env.anatomy import Judge, Known
from vae.acceleration import parallel
from vae.adversarial.batches import Batches
from vae.adversarial.encode import squared_error
from vae.adversarial.perceptual import compile_ahead
from vae.adversarial.training import AHEAD, AdversarialConfig, AdversarialTrainer, own_rows
from vae.checks import check_between
from vae.device import resolve_device
from vae.distribution import check_extra
from vae.files import load_weights, save_hashed_json, save_json, save_tensors
from vae.images import SPLIT_SEED, to_float
from vae.images.labelled.hands import CANVAS
from vae.images.labelled.synthetic_pool import RightHands
from vae.model import VAE, VAEConfig, build_vae
from vae.progress import progress_bar, say
from vae.sampling.flow import FlowPrior
from vae.sampling.mixture import Mixture
from vae.sampling.reencoded import MAX_PASSES
from vae.seeds import Purpose, stream_seed

LATENT_DIM = 300  # as in the paper
LOGGED = 50  # steps between two entries of training_log.json
MIXTURE = 16_384  # augmented pictures that the mixture is fitted to; EM on all of them takes minutes
TRAINING_LOG = "training_log.json"
POINTS = 60  # at most, of a curve of training_log.json
_RANGE = "lowest to highest of a point's entries"
CURVES = (  # terms of the loss, weighted
    Panel("difference of pictures, weighted", {"pixels": "pixels", "look": "features", "regions": "regions"}, _RANGE),
    Panel("KL divergence, weighted", {"kl": "KL divergence"}, _RANGE),
    Panel("what the critics say, weighted", {"patches": "of patches", "features": "of features"}, _RANGE),
    Panel("the critics' own loss", {"critics": "critics"}, _RANGE),
)
PRIOR_CURVES = (
    Panel(
        "loss of the learned prior", {"loss": "training", "held_out": "other people"}, "lowest to highest of the steps"
    ),
)
SELECTED_CURVES = (
    Panel(
        "loss of the prior fitted to selected latents",
        {"loss": "training", "held_out": "held-out latents"},
        "lowest to highest of the steps",
    ),
)
_NOT_SETTINGS = ("out", "device", "workers", "checkpoint_seconds")  # may differ when the recipe is resumed


def recipe(args: RecipeArgs) -> Path:
    """Run the recipe from the start, or resume it. All processes call it, inside `parallel.process_group`.

    Args:
        args: Settings.

    Returns:
        The run's folder: the files of `handlatent train`, prior.safetensors, agents, training_log.json and the curves.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If a setting is wrong, or the folder holds another run or is in use.
        Interrupted: After Ctrl-C, once the run is saved.
    """
    parallel.from_main(lambda: _check(args))
    try:
        if not parallel.is_main():
            return _follow(args, resolve_device(args.device))
        stages = Stages()
        device = resolve_device(args.device)
        with synthetic_hands(args) as hands, ThreadPoolExecutor(1) as thread:
            ready = thread.submit(_compile_ahead, args, device)  # while other processes prepare pictures
            photographs = None
            if args.data != SYNTHETIC:  # before the folder is claimed
                with stages("photographs"):
                    photographs = read_photographs(args, hands)
            with held(args.out):
                return _run_stages(args, photographs, hands, device, stages, ready)
    except ConnectionError as error:
        raise ConnectionError(f"{error} Then continue with: {typed('recipe', args)}") from error


def _compile_ahead(args: RecipeArgs, device: str) -> None:
    if not (args.out / run_folder.VAE_WEIGHTS).is_file():
        compile_ahead(args.batch, CANVAS, torch.device(device))


def _follow(args: RecipeArgs, device: str) -> Path:
    """Train the VAE with the main process, if it has none yet. It alone does all else, and logs and saves."""
    if parallel.flag_of_main(False):
        material: Any = parallel.from_main(lambda: None)  # a RecipePictures
        _train_autoencoder(args, material, material.batches(device), device)
    return args.out


def _run_stages(
    args: RecipeArgs,
    photographs: tuple[Tensor, Tensor] | None,
    hands: RightHands,
    device: str,
    stages: Stages,
    ready: Future[None],
) -> Path:
    out = args.out
    _claim(args, "" if photographs is None else hashlib.sha256(photographs[0].numpy().tobytes()).hexdigest())
    parallel.flag_of_main(not any((out / name).is_file() for name in (run_folder.REPORT, run_folder.VAE_WEIGHTS)))
    if not (out / run_folder.REPORT).is_file():
        _draw_and_sample(args, photographs, hands, device, stages, ready)
    with parallel.alone():
        return _train_agents(args, photographs, device, stages)


def _train_agents(args: RecipeArgs, photographs: tuple[Tensor, Tensor] | None, device: str, stages: Stages) -> Path:
    out = args.out
    shutil.rmtree(out / run_folder.CHECKPOINTS, ignore_errors=True)
    if args.latent_samples and not (out / run_folder.LATENT_AGENT).is_file():
        say("The agent on HandLatent-v0", sys.stdout)
        with stages("latent_agent"):
            images = some_synthetic_hands(args) if photographs is None else photographs[0]
            agent = train_latent_agent(load_run(out).vae, images, args.latent_samples, args.seed, device)
            agent.save(out / run_folder.LATENT_AGENT)
        stages.add_to(out / run_folder.REPORT, "latent_agent")
    if args.refine_samples and not (out / run_folder.REFINE_REPORT).is_file():  # written last; the refiner lies before
        say("The agent on HandRefine-v0", sys.stdout)
        refine = RefineArgs(
            out,
            samples=args.refine_samples,
            rows=args.refine_rows,
            width=args.refine_width,
            delta_scale=args.delta_scale,
            checkpoint_seconds=args.checkpoint_seconds,
            seed=args.seed,
            device=args.device,
        )
        with stages("refiner"):
            refine_run(refine)
        stages.add_to(out / run_folder.REPORT, "refiner")
    return out


def _check(args: RecipeArgs) -> None:
    """Refuse wrong settings before the first stage starts."""
    run_folder.check_unicode(args.out)
    check_extra()  # it installs the network of the perceptual distance
    check_at_least(1, args, "drawn", "steps", "batch", "varied", "flow_steps")
    check_at_least(1, args, "refine_rows", "refine_width")
    check_at_least(0, args, "candidates", "latent_samples", "refine_samples")
    check_at_least(0, args, "checkpoint_seconds", "falling_deltas")
    if args.workers is not None:
        check_at_least(0, args, "workers")
    check_above_zero(args, "nats")
    check_scales(args, "delta_scale")
    if args.features_side not in range(CANVAS, 513, 32):
        raise ValueError(
            f"--features-side must be a multiple of 32 from {CANVAS} to 512, got {args.features_side}. {CANVAS} "
            "enlarges nothing."
        )
    check_between("--reencode-passes", args.reencode_passes, 0, MAX_PASSES, advice="The default is 1.")
    check_between("--temperature", args.temperature, 0.0, 1.0, without="low")
    check_between("--final-denoise", args.final_denoise, 0.0, 1.0, without="high")
    check_between("--prior-from", args.prior_from, 0.0, 1.0, without="low")
    check_accept(args)
    check_seed(args.seed)
    own_rows(args.batch)
    if parallel.world_size() > 1 and ":" in args.device:
        raise ValueError(f"--device must name no single GPU for several processes, got {args.device!r}. Use cuda.")


def _claim(args: RecipeArgs, pictures_sha256: str) -> None:
    """Start a run in a folder, or resume the one that was started there with these settings and photographs."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(args).items()}
    settings = {name: value for name, value in plain.items() if name not in _NOT_SETTINGS}
    if not (args.out / run_folder.CONFIG).is_file():
        run_folder.claim(args.out)
        shared: dict[str, Any] = {"size": CANVAS, "latent_dim": LATENT_DIM, "batch_size": args.batch}
        shared |= {"agent": "none", "split_seed": SPLIT_SEED}
        config = {"settings": {**settings, **shared}, "versions": run_folder.versions()}
        save_hashed_json(args.out / run_folder.CONFIG, {**config, "pictures_sha256": pictures_sha256})
        return
    begun = run_folder.read_config(args.out)
    there, known = begun["settings"], begun["pictures_sha256"]  # "": synthetic, or a run of an earlier version
    if run_folder.OF_RECIPE not in there:
        raise ValueError(f"--out '{args.out}' holds a run of `train`, not of `recipe`. Choose another --out.")
    there = {**BEFORE, **there}
    both = bool(known and pictures_sha256)
    changed = [name for name in settings if there.get(name) != settings[name] and not (both and name == "data")]
    if changed:
        listed = ", ".join(f"{flag(name)} {there.get(name)!r}" for name in changed)
        raise ValueError(f"'{args.out}' was started with {listed}. Repeat that to resume, or choose another --out.")
    if both and pictures_sha256 != known:
        raise ValueError(
            f"The photographs in '{args.data}' are not those that '{args.out}' was started with. Put them back, or "
            "name their folder with --data."
        )
    if there["data"] != args.data:  # they have moved
        save_hashed_json(args.out / run_folder.CONFIG, {**begun, "settings": {**there, "data": args.data}})


def _draw_and_sample(
    args: RecipeArgs,
    photographs: tuple[Tensor, Tensor] | None,
    hands: RightHands,
    device: str,
    stages: Stages,
    ready: Future[None],
) -> None:
    """Train the VAE and fit the samplers."""
    out = args.out
    began = time.monotonic()
    material, first = gather(args, photographs, hands, device, stages), None
    batches = material.batches(device)
    if not (out / run_folder.VAE_WEIGHTS).is_file():
        parallel.from_main(lambda: material)  # for those that follow
        with stages("vae"):
            ready.result()
            first = _train_autoencoder(args, material, batches, device)
    vae = _read_vae(args).to(device)
    with stages("prior"):
        first = first or fit_first_prior(args, vae, material, batches)
    save_curves(out / run_folder.PRIOR_CURVES, first.log, "step", PRIOR_CURVES)
    with stages("selection"):
        flow, selection, candidates = _selected(args, first.flow, vae, material)
    flow.temperature, flow.final_denoise = args.temperature, args.final_denoise
    flow.save(out / SAMPLER_FILES["prior"][0])
    known = None if material.photographs is None else material.photographs.images
    with stages("rejection"):
        rejection = learn_to_reject(args, candidates, flow, vae, known)
    some = slice(MIXTURE)
    with stages("mixture"):
        known_latents = first.posteriors
        mixture = Mixture.fit(known_latents.mean[some], known_latents.log_var[some], draws=MIXTURE, seed=args.seed)
    mixture.save(out / run_folder.SAMPLER)
    report = {
        "pictures": {
            "photographs": 0 if material.photographs is None else len(material.photographs),
            "drawn": len(material.drawn),
            "validation": len(material.others),
        },
        "validation_squared_error": squared_error(vae, material.others),
        "validation_kl_nats": first.validation_kl,
        "prior": first.log,
        "selection": selection,
        "rejection": rejection,
        "seconds_since_last_start": time.monotonic() - began,
        SECONDS: stages.seconds,
        "device": torch.cuda.get_device_name(torch.device(device)) if device.startswith("cuda") else "cpu",
    }
    save_hashed_json(out / run_folder.REPORT, report)


def _selected(
    args: RecipeArgs, prior: FlowPrior, vae: VAE, material: RecipePictures
) -> tuple[FlowPrior, dict[str, Any], Candidates | None]:
    """Fit a larger prior to what the judge accepts of the first one's candidates, if there is enough."""
    if not args.candidates:
        return prior, {}, None
    say("The learned prior, selected by the rewarding judge", sys.stdout)
    judge, known = Judge.load(device=str(vae.log_variance.device)), None
    if material.photographs is not None:
        known = Known(judge, to_float(material.photographs.images), to_float(material.others), NEAR)
    seed = stream_seed(args.seed, Purpose.RECIPE_SELECTION) % 2**31
    candidates = draw_candidates(prior, vae, right_and_new(judge, known), args.candidates, seed)
    accepted = candidates.accepted
    facts: dict[str, Any] = {"candidates": args.candidates, "accepted": len(accepted.latents)}
    facts |= dict(zip(VERDICTS, candidates.shares, strict=False))
    if len(accepted.latents) < FEWEST:
        found = f"The judge accepts {len(accepted.latents)} of {args.candidates} candidates"
        say(f"{found}. A prior needs at least {FEWEST}, so the first one stays.", sys.stdout)
        return prior, facts, candidates
    weights = None if known is None else likeness(accepted.features, known.base[0])
    prior, log = fit_to_selected(accepted.latents, weights, steps=args.flow_steps, seed=args.seed)
    save_curves(args.out / run_folder.SELECTED_CURVES, log, "step", SELECTED_CURVES)
    return prior, {**facts, "log": log}, candidates


def _train_autoencoder(args: RecipeArgs, material: RecipePictures, batches: Batches, device: str) -> FirstPrior | None:
    """Train the VAE. Return the prior that was fitted to its frozen encoder's latents, in the main process alone."""
    settings = AdversarialConfig(
        steps=args.steps,
        batch=args.batch,
        nats=args.nats,
        features_side=args.features_side,
        deltas=args.falling_deltas,
        seed=args.seed,
    )
    run = AdversarialTrainer(settings, VAEConfig(CANVAS, LATENT_DIM, args.width), batches, device)
    checkpoints, log = Checkpointer(args.out / run_folder.CHECKPOINTS, args.checkpoint_seconds), []
    state = parallel.from_main(lambda: checkpoints.load({"run": OBJECT, "training_log": OBJECTS}))
    if state is not None:
        with checkpoints.restoring("run"):
            run.load_state_dict(state["run"])
        log = state["training_log"]
    main, stops, first = parallel.is_main(), False, None
    bar = progress_bar(title="Training the VAE", total=args.steps, initial=run.steps, leave=True)
    with checkpoints.ctrl_c as ctrl_c, bar:
        while run.steps < args.steps and not stops:
            if run.pool is None and run.share >= args.prior_from and run.steps % AHEAD == 0:
                first = _freeze_encoder(args, run, material, batches)
            terms = run.step()
            bar.update()
            if main and run.steps % LOGGED == 0:
                log.append({"step": run.steps, **{name: float(term) for name, term in terms.items()}})
            if run.steps % AHEAD == 0 and run.steps < args.steps:
                stops = parallel.flag_of_main(ctrl_c.pressed)
                if main and (stops or checkpoints.waited):
                    checkpoints.save(run.steps, {"run": run.state_dict(), "training_log": log})
    if not main:
        return None
    if stops:
        raise Interrupted(typed("recipe", args))
    vae = run.averaged
    pictures = batches.drawn if batches.photographs is None else batches.photographs
    vae.log_variance.fill_(np.log(squared_error(vae, pictures.images)))  # the log variance of a sigma-VAE
    save_json(args.out / TRAINING_LOG, log)
    save_curves(args.out / run_folder.CURVES, binned(log, "step", POINTS), "step", CURVES)
    half = {name: tensor.half() for name, tensor in vae.state_dict().items()}  # as it ships; samplers and agents fit it
    save_tensors(args.out / run_folder.VAE_WEIGHTS, half)
    if ctrl_c.pressed:  # too late for a checkpoint
        raise Interrupted(typed("recipe", args))
    return first


def _freeze_encoder(
    args: RecipeArgs, run: AdversarialTrainer, material: RecipePictures, batches: Batches
) -> FirstPrior | None:
    """Keep the encoder from now on, and teach the decoder what a prior draws. Return this prior in the main process."""
    run.freeze_encoder()
    first = fit_first_prior(args, run.averaged, material, batches) if parallel.is_main() else None
    latents: Any = None if first is None else pool(args, first)  # (n, D) float32 in the main process
    run.learn_prior(parallel.from_main(lambda: latents))
    return first


def _read_vae(args: RecipeArgs) -> VAE:
    vae = build_vae(VAEConfig(CANVAS, LATENT_DIM, args.width), seed=0)
    vae.load_state_dict(load_weights(args.out / run_folder.VAE_WEIGHTS))
    return vae.eval().requires_grad_(False)
