"""Learn to draw by rejection, from candidates that selection has had judged anyway.

Discriminator rejection sampling (Azadi et al. 2019) draws from a GAN and lets its critic turn samples away. Here a
network predicts a judge's verdicts from the latent. This is selection, not correction.
"""

import sys
from typing import Any

import torch
from torch import Tensor

from agents.commands.recipe.args import RecipeArgs
from agents.commands.recipe.selection import VERDICTS, Candidates
from agents.runs.run_folder import CLASSIFIER
from vae.adversarial.encode import encode_as_they_are
from vae.checks import check_between
from vae.model import VAE
from vae.progress import in_chunks, say
from vae.sampling.flow import FlowPrior
from vae.sampling.reencoded import Reencoded
from vae.sampling.rejection_fit import FEWEST, NothingToLearnError, fit_classifier
from vae.seeds import Purpose, stream_seed

DRAWN = 8192  # latents of the final sampler that the limits are chosen on
CHUNK = 1024  # latents whose distances are measured at a time
FAR = "far"  # the verdict that a latent is far from those of all training photographs
KEEPS = {"correct": 1.75, "new": 1.25}  # how many latents a limit keeps for each that the one of "far" does: most are
# correct anyway, and a strict limit of "new" costs sharpness


def check_accept(args: RecipeArgs) -> None:
    """Refuse wrong settings of rejection before the first stage starts.

    Raises:
        ValueError: If the share is out of range, or there are too few candidates to learn from.
    """
    check_between("--accept", args.accept, 0.0, 1.0, without="low")
    if args.accept < 1 and 0 < args.candidates < FEWEST:
        raise ValueError(
            f"--accept below 1 learns from judged candidates, so --candidates must be at least {FEWEST}, or 0 for no "
            f"classifier, got {args.candidates}. Change it, or choose --accept 1."
        )


def learn_to_reject(
    args: RecipeArgs, candidates: Candidates | None, prior: FlowPrior, vae: VAE, photographs: Tensor | None
) -> dict[str, Any]:
    """Write the classifier of rejection sampling, if the settings ask for one.

    Args:
        args: Settings.
        candidates: Judged latents; None if selection was left out.
        prior: The final prior, with its final settings.
        vae: On its device.
        photographs: (n, 3, S, S) uint8, those of training people; None for synthetic hands only.

    Returns:
        What report.json says: "accept", "areas" under the ROC curve by verdict, and "accepted", the share of the final
        sampler's latents that the classifier accepts. Or "missing": why there is no classifier. Empty if nobody asked.
    """
    if args.accept == 1 or candidates is None:
        return {}
    say("The classifier of rejection sampling", sys.stdout)
    names, holds = VERDICTS[: candidates.holds.shape[1]], candidates.holds
    if photographs is not None:
        known = encode_as_they_are(vae, photographs).mean  # and of their mirror images
        names, holds = (*names, FAR), torch.cat([holds, far(candidates.latents, known).unsqueeze(1)], 1)
    seeds = [stream_seed(args.seed, Purpose.RECIPE_REJECTION, step) % 2**31 for step in range(2)]
    drawn = Reencoded(prior, vae, args.reencode_passes).sample(DRAWN, seeds[0])
    try:
        keeps = [KEEPS.get(name, 1.0) for name in names]
        fitted = fit_classifier(candidates.latents, holds, drawn, share=args.accept, seed=seeds[1], keeps=keeps)
    except NothingToLearnError as error:
        say(f"{error} No latent will be rejected.", sys.stdout)
        return {"accept": args.accept, "missing": str(error)}
    fitted.classifier.save(args.out / CLASSIFIER)
    areas = dict(zip(names, fitted.areas, strict=True))
    return {"accept": args.accept, "areas": areas, "accepted": float(fitted.classifier.share)}


def far(latents: Tensor, known: Tensor) -> Tensor:
    """Return (n,) bool, whether the nearest of (m, D) known latents is farther away than for half of (n, D) latents."""
    chunks = in_chunks(latents, CHUNK, "Measuring distances", "latents")
    distance = torch.cat([torch.cdist(chunk, known).min(1).values for chunk in chunks])
    return distance > distance.median()
