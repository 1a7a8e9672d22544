"""The settings of drawing hands, which `handlatent generate` and `handlatent blind sheets` share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agents.command_line.flags import OPTIONAL_RUN, SWITCH, check_at_least, check_hands, check_not_nan, flag
from agents.draw.hands import DrawnHands, draw_hands
from agents.rl.row_agent import REFINE_BELOW, ROUNDS
from agents.runs.packaged import WeightSet, load_packaged, read_run
from agents.runs.run import Run


@dataclass(frozen=True)
class GenerateArgs:
    """Draw new hands, from the weights that come with the package or from a finished run of your own."""

    run: Path | None = field(default=None, metadata=OPTIONAL_RUN)
    """Folder of a run or of a set of weights. Default: the weights that come with the package."""
    weights: WeightSet = "photographs"
    """Which packaged weights: 'photographs' (trained on photographs too) or 'synthetic' (synthetic hands only; only
    a checkout has these)."""
    n: int = 20
    """Number of hands."""
    seed: int = 0
    """Seed of the latents."""
    sampler: Literal["auto", "rejection", "prior", "mixture", "normal"] = "auto"
    """Where latents are drawn from: 'prior' (learned), 'rejection', 'mixture' (fitted to the training pictures'
    latents) or 'normal' (standard normal, as in the paper). 'rejection' draws those of the prior's latents that a
    classifier accepts: selection, not correction. 'auto' takes the sampler that the refiner was trained on. Without
    a refiner, it takes the first that the run has. Where it would take 'prior', it takes 'rejection' if the run has
    it."""
    best_of: int = 1
    """Draw this many latents for each hand and keep the one that the rewarding judge scores highest. The agent and the
    refiner then act on it. This is selection, not correction; generated.json records it."""
    agent: bool = field(default=True, metadata=SWITCH)
    """Whether the run's agent acts on the latents."""
    refine: bool = field(default=True, metadata=SWITCH)
    """Whether the run's refiner, if it has one, then corrects the latents. It drops a correction that does not raise
    the rewarding judge's score."""
    rounds: int = ROUNDS
    """How many times the refiner corrects a latent. Each round starts from the latent that the last round kept."""
    refine_below: float = REFINE_BELOW
    """Refine only the hands whose log-odds by the rewarding judge are below this. 'inf': refine all."""
    out: Path = Path("hands")
    """Folder for the pictures."""


def load_as_asked(args: GenerateArgs) -> Run:
    """Check the settings and read the run or the weights that they name, before any folder is made.

    Raises:
        ValueError: If there is no finished run, or a setting is wrong.
    """
    check_at_least(1, args, "n", "best_of", "rounds")
    check_at_least(0, args, "seed")
    check_not_nan(args, "refine_below")
    _refuse_idle(args)
    run = load_packaged(args.weights) if args.run is None else read_run(args.run)
    run.sampler_name(args.sampler)
    check_hands("--n", args.n, run.vae.size, run.vae.latent_dim, args.best_of)
    return run


def _refuse_idle(args: GenerateArgs) -> None:
    """Refuse settings that would do nothing."""
    if args.run is not None and args.weights != GenerateArgs.weights:
        raise ValueError(f"--weights is for drawing without RUN, got {args.weights!r} and '{args.run}'. Leave one out.")
    for name in ("rounds", "refine_below"):
        value = getattr(args, name)
        if not args.refine and value != getattr(GenerateArgs, name):
            raise ValueError(f"{flag(name)} is for the refiner, which --no-refine leaves out, got {value}. Drop one.")


def draw_as_asked(args: GenerateArgs, run: Run) -> DrawnHands:
    """Draw hands from a run with these settings."""
    return draw_hands(
        args.n,
        seed=args.seed,
        run=run,
        sampler=args.sampler,
        best_of_k=args.best_of,
        agent=args.agent,
        refine=args.refine,
        rounds=args.rounds,
        refine_below=args.refine_below,
    )


def how_made(args: GenerateArgs, hands: DrawnHands) -> dict[str, Any]:
    """Say what hands were drawn from, and how, as plain values for JSON."""
    source = {"weights": args.weights} if args.run is None else {"run": str(args.run)}
    return {**source, **hands.record}
