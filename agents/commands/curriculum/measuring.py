"""Measure trained VAEs: their losses, and the hands that they draw with each sampler."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.jobs import Job
from agents.commands.curriculum.methods import AGENT, TrainingMethod
from agents.commands.curriculum.store import VAERecord, VAEStore
from agents.commands.curriculum.training import FinishedJob
from agents.figures.samplers import LEARNED, TrainedVAE, fit_mixture, fit_priors
from agents.figures.yardstick import Judges, Yardstick
from agents.runs.packed_pictures import PackedPictures
from agents.runs.run_folder import sha256
from hand_env import image_grid
from vae.images.overview import save_overview
from vae.sampling.sampler import Sampler, StandardNormal
from vae.training import Trainer

SIDE_BY_SIDE = {"cpu": 1, "cuda": 16}  # learned priors that are fitted side by side
SHOWN, GRID_COLUMNS = 40, 10  # hands in a grid, and in a row of it
PICTURES = "pictures"


class Measuring:
    """Measure the VAEs of one curriculum, as far as its store lacks their figures."""

    def __init__(self, judges: Judges, pictures: PackedPictures, store: VAEStore, args: CurriculumArgs) -> None:
        """Store everything; the pictures are on the judges' device."""
        self.judges, self.pictures, self.store, self.args = judges, pictures, store, args
        self.agent_sha256 = "" if args.agent is None else sha256(args.agent)
        self._yardsticks: dict[tuple[str, int], Yardstick] = {}

    def lacking(self, job: Job) -> list[str]:
        """List the samplers whose figures the store does not have."""
        known, wanted = self._known(job), samplers_for(job.method, self.args)
        if known is None:
            return wanted
        return [] if known.missing else [name for name in wanted if name not in known.samplers]

    def measure(self, trained: Sequence[FinishedJob]) -> Iterator[VAERecord]:
        """Measure the VAEs of a group, and keep each one's figures before the next one is measured.

        Yields:
            The finished records.
        """
        at_most = SIDE_BY_SIDE[self.judges.reporter.device.type]
        for start in range(0, len(trained), at_most):
            part = [(one, self._begin(one)) for one in trained[start : start + at_most]]
            priors = self._fit_priors([one for one, record in part if not record.missing])
            for one, record in part:
                done = (
                    record if record.missing else self._draw_and_measure(one, record, *priors.get(id(one), ({}, 0.0)))
                )
                self.store.add(done)
                yield done

    def _begin(self, one: FinishedJob) -> VAERecord:
        """Measure the losses; the record says so if they are not finite."""
        job, record = one.job, self._known(one.job) or one.job.record(self._agent_of(one.job))
        of_vae: dict[str, float] = {}
        for name, images in (("validation", self.pictures.validation), ("training", job.images)):
            found = one.trainer.measure(images, averaged=True)
            of_vae |= {f"{name}_loss_nats": float(found.total.mean()), f"{name}_kl_nats": float(found.kl.mean())}
            if not bool(found.total.isfinite().all()):
                return replace(record, missing="the VAE diverged")
        return replace(record, vae=of_vae, seconds={**record.seconds, "training": one.seconds})

    def _fit_priors(self, trained: Sequence[FinishedJob]) -> dict[int, tuple[dict[str, Sampler], float]]:
        """Fit the learned priors that are lacking; return them with their share of the seconds."""
        wanted = [one for one in trained if set(self.lacking(one.job)) & set(LEARNED)]
        if not wanted:
            return {}
        began = time.monotonic()
        found = fit_priors([self._subject(one.trainer, one.job.seed) for one in wanted], self.args.prior_steps)
        seconds = (time.monotonic() - began) / len(wanted)
        return {id(one): (samplers, seconds) for one, samplers in zip(wanted, found, strict=True)}

    def _draw_and_measure(
        self, one: FinishedJob, record: VAERecord, priors: dict[str, Sampler], fitting: float
    ) -> VAERecord:
        """Measure what the VAE draws with the samplers that are lacking."""
        job, trainer, args = one.job, one.trainer, self.args
        seconds, figures = dict(record.seconds), dict(record.samplers)
        if priors:
            seconds["fitting prior"] = fitting
        for name in self.lacking(job):
            began = time.monotonic()
            sampler = self._sampler(name, one, priors)
            if name not in LEARNED:
                seconds[f"fitting {name}"] = time.monotonic() - began
            began = time.monotonic()
            figures[name], hands = self._yardstick(job).measure(trainer.averaged_vae, sampler, args.hands, job.seed)
            seconds[f"measuring {name}"] = time.monotonic() - began
            if args.pictures:
                self._save_grid(job, name, hands)
        return replace(record, seconds=seconds, samplers=figures)

    def _sampler(self, name: str, one: FinishedJob, priors: dict[str, Sampler]) -> Sampler:
        if name == "normal":
            return StandardNormal(one.trainer.vae.latent_dim)
        return fit_mixture(self._subject(one.trainer, one.job.seed)) if name == "mixture" else priors[name]

    def _subject(self, trainer: Trainer, seed: int) -> TrainedVAE:
        return TrainedVAE(trainer.averaged_vae, trainer.images, self.pictures.validation, seed)

    def _yardstick(self, job: Job) -> Yardstick:
        """Return the yardstick for a job's training pictures; only the last one is kept."""
        key = job.n, job.seed
        if key not in self._yardsticks:
            self._yardsticks = {key: Yardstick(self.judges, job.images, self.pictures.held_out)}
        return self._yardsticks[key]

    def _save_grid(self, job: Job, sampler: str, hands: Tensor) -> None:
        folder = self.args.out / PICTURES
        folder.mkdir(exist_ok=True)
        name = f"{job.n}-{job.epochs}-{job.method.name}-{job.seed}-{sampler}.png"
        save_overview(folder / name, image_grid(hands[:SHOWN], columns=GRID_COLUMNS))

    def _known(self, job: Job) -> VAERecord | None:
        return self.store.find(job.key, self._agent_of(job))

    def _agent_of(self, job: Job) -> str:
        return self.agent_sha256 if job.method.acts == AGENT else ""


def samplers_for(method: TrainingMethod, args: CurriculumArgs) -> list[str]:
    """List the samplers that are fitted to the VAEs of a method."""
    without = args.prior_for is not None and method.name not in args.prior_for
    return [name for name in args.samplers if not (without and name in LEARNED)]
