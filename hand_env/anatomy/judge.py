"""Judge pictures of hands: the network's answers, measurements, and the rules applied to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hand_env.anatomy import measures
from hand_env.anatomy.crop_step import Frames, cut_out, frame_hands, whole_pictures
from hand_env.anatomy.margins import raw_margins
from hand_env.anatomy.network import Network, Parse, mean_of_both, parse_both_ways
from hand_env.anatomy.result import CRITERIA, Digit, Judgement
from hand_env.anatomy.weights import Calibration, load_network, packaged_weights
from vae.device import channels_last, reduced_precision
from vae.images.labelled.vocabulary import (
    ABSENT,
    DIGITS,
    DOUBTS,
    EXTRA_FINGER,
    EXTRA_THUMB,
    FUSED,
    GHOST,
    NO_EXTRA,
    NORMAL,
    REASONS,
    SEGMENT_ADDED,
    SEGMENT_MISSING,
    STATES,
    TOO_LONG,
    TOO_SHORT,
)
from vae.progress import in_chunks
from vae.torch_modes import usual_modes

SMALLEST = 32  # side, pixels
CHUNK = {"cpu": 16, "cuda": 1024}  # pictures at a time, to fit into a core's cache or a GPU's memory
UPRIGHT = 45.0  # degrees
STEEPNESS = 0.7  # of the score as a function of the logit
SMALLEST_HAND = 24.0  # pixels from tip to wrist: smaller hands show no segments
BUSY = 0.05  # result of `measures.clutter` above which a background is cluttered


@dataclass
class Findings:
    """Findings on n pictures, as tensors on the judge's device.

    Attributes:
        parse: The network's answers.
        margins: For each limit's name, (n,) logits above the limit; below 0 is a failure.
        states: (n, 5) int64, index into `STATES`, after the limits.
        extra: (n,) int64, index into `EXTRAS`, after the limits.
        holds: (n, 11) bool, `CRITERIA` in order.
        tone: (n,), degrees.
        up: (n,), degrees clockwise from straight up.
        sharpness: (n,), relative to the median of real photographs.
        score: (n,), [0, 1].
        doubts: (n, 7) bool, `REASONS` in order.
        frames: The judged square of each picture; the joints of `parse` are positions in it.
        map: (n, 8, h, w) logits of `REGIONS` on the whole pictures, whatever was cut out.
    """

    parse: Parse
    margins: dict[str, Tensor]
    states: Tensor
    extra: Tensor
    holds: Tensor
    tone: Tensor
    up: Tensor
    sharpness: Tensor
    score: Tensor
    doubts: Tensor
    frames: Frames
    map: Tensor


class Judge:
    """Hold a network and its limits, and judge pictures with them."""

    def __init__(self, network: Network, calibration: Calibration, device: str | torch.device = "cpu") -> None:
        """Move the network to a device; pictures may be on another one."""
        self.network = channels_last(network, device).eval()  # about 10 % faster on two cores
        self.calibration, self.device = calibration, torch.device(device)

    @classmethod
    def load(cls, weights: Path | str | None = None, *, architecture: str = "parser", device: str = "cpu") -> Judge:
        """Load a judge.

        Args:
            weights: A file written by `handlatent judge-train`; default: the packaged weights.
            architecture: Which packaged weights: "parser" pays rewards, "reporter" only reports.
            device: "cpu", "cuda" or "cuda:N".

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file does not hold a judge, or there is no such architecture.
        """
        return cls(*load_network(Path(weights) if weights else packaged_weights(architecture)), device)

    @torch.no_grad()
    def judge(self, images: Tensor, *, crop: bool = False) -> list[Judgement]:
        """Judge pictures; see `hand_env.anatomy.judge_images`."""
        check_images(images)
        return [
            judgement
            for chunk in self._chunks(images)
            for judgement in to_judgements(self.find(chunk, crop), images.shape[-1])
        ]

    @torch.no_grad()
    def score(self, images: Tensor) -> Tensor:
        """Return only the scores, (n,) float32 in [0, 1] on the pictures' device; see `judge`."""
        check_images(images)
        return torch.cat([self.find(chunk).score for chunk in self._chunks(images)]).to(images.device)

    @torch.no_grad()
    def correct(self, images: Tensor) -> Tensor:
        """Return only the verdicts, (n,) float32 on the pictures' device, 1 for a correct hand, else 0; see `judge`."""
        check_images(images)
        found = [self.find(chunk) for chunk in self._chunks(images)]
        return torch.cat([own.holds.all(1) & ~own.doubts.any(1) for own in found]).to(images.device, torch.float32)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return unit vectors, (n, 128) float32 on the CPU: similar hands have similar vectors."""
        check_images(images)
        return torch.cat([self.find(chunk).parse.feature.cpu() for chunk in self._chunks(images)])

    @torch.no_grad()
    def judge_with_features(self, images: Tensor) -> tuple[list[Judgement], Tensor]:
        """Return what `judge` and `features` return, in half the time of both: each picture is parsed once."""
        check_images(images)
        found = [self.find(chunk) for chunk in self._chunks(images)]
        judgements = [judgement for own in found for judgement in to_judgements(own, images.shape[-1])]
        return judgements, torch.cat([own.parse.feature.cpu() for own in found])

    def _chunks(self, images: Tensor) -> Iterator[Tensor]:
        return in_chunks(images, CHUNK[self.device.type], "Judging")

    def find(self, images: Tensor, crop: bool = False) -> Findings:
        """Return all findings on (n, 3, S, S) float pictures in [0, 1]; differentiable without `crop`."""
        images = images.to(self.device, torch.float32)
        seen, frames = images, whole_pictures(len(images), self.device)
        with reduced_precision(self.device):
            if crop:
                parse, seen, frames, regions = self._look_twice(images)
            else:
                parse = parse_both_ways(self.network, _resized(images, self.network.size))
                regions = parse.regions
        margins = {name: value - self.calibration.limits[name] for name, value in raw_margins(parse).items()}
        states, extra = _decided(parse, margins)
        colour = measures.skin_colour(seen, parse.regions)
        tone, hue = measures.typology_angle(colour), measures.hue_angle(colour)
        up = torch.rad2deg(torch.atan2(parse.up[:, 0], -parse.up[:, 1]))
        if crop:
            up = (up + torch.rad2deg(frames.turn) + 180) % 360 - 180
        median, limit = _usual_sharpness(images.shape[-1], self.calibration)
        steep = measures.sharpness(images)
        strange = _beyond(tone, self.calibration.tone) + _beyond(hue, self.calibration.hue)
        quality = torch.stack([strange <= 0, up.abs() <= UPRIGHT, steep >= limit], 1)
        holds = torch.cat([_anatomy(states, extra, margins), quality], 1)
        score = _score(margins, strange, up, steep / limit)
        doubts = _doubts(parse, margins, seen, frames.side * images.shape[-1], self.calibration)
        return Findings(parse, margins, states, extra, holds, tone, up, steep / median, score, doubts, frames, regions)

    def _look_twice(self, images: Tensor) -> tuple[Parse, Tensor, Frames, Tensor]:
        """Find the hand in the whole picture; if it is small or rotated, parse that part alone.

        Returns:
            The answers, the judged pictures at the network's size, the frames that were judged, and the region maps of
            the whole pictures.
        """
        seen = _resized(images, self.network.size)
        first = self.network(seen)
        frames = frame_hands(first.joints, first.up.float(), first.hand >= self.calibration.limits["hand"])
        cut = frames.cut()
        rows, others = torch.nonzero(cut)[:, 0], torch.nonzero(~cut)[:, 0]
        if not len(rows):
            return mean_of_both(first, self.network(seen.flip(3))), seen, frames, first.regions
        seen = seen.index_copy(0, rows, cut_out(images[rows], frames.take(rows), self.network.size))
        again = self.network(torch.cat([seen[others].flip(3), seen[rows], seen[rows].flip(3)]))
        parts = {name: value.split([len(others), len(rows), len(rows)]) for name, value in vars(again).items()}
        there = {name: getattr(first, name).index_copy(0, rows, part[1]) for name, part in parts.items()}
        back = {
            name: torch.empty_like(there[name]).index_copy(0, others, part[0]).index_copy(0, rows, part[2])
            for name, part in parts.items()
        }
        return mean_of_both(Parse(**there), Parse(**back)), seen, frames, first.regions


@lru_cache(maxsize=4)
@usual_modes()
def default_judge(architecture: str = "parser", device: str = "cpu") -> Judge:
    """Load the packaged judge once."""
    return Judge.load(architecture=architecture, device=device)


def check_images(images: Any) -> None:
    """Check that this is a batch of pictures.

    Raises:
        TypeError: If `images` is not a floating-point tensor.
        ValueError: If the shape or the range is wrong, or there is a NaN.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"images must be a floating-point tensor, got {kind!r}. Use vae.images.to_float for bytes.")
    n, *rest = images.shape if images.dim() else (0,)
    if images.dim() != 4 or rest[0] != 3 or rest[1] != rest[2] or rest[1] < SMALLEST or not n:
        raise ValueError(
            f"images must have shape (n, 3, S, S) with n >= 1 and S >= {SMALLEST}, got {tuple(images.shape)}. "
            "Pad pictures to squares; enlarge smaller ones."
        )
    low, high = (float(x) for x in torch.aminmax(images))
    if math.isnan(low) or math.isnan(high):
        raise ValueError("images must not hold NaN. Find the step that produces NaN before you judge the pictures.")
    if low < 0 or high > 1:
        raise ValueError(f"images must lie in [0, 1], got values from {low!r} to {high!r}. Clamp or divide by 255.")


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images
    shrink = images.shape[-1] > size
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=shrink)


def _decided(parse: Parse, margins: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Name the defects: of the worst digit if a limit fails, and of every digit that looks wrong if the whole fails."""
    likely = parse.states.argmax(-1)
    worst = F.one_hot(parse.states.softmax(-1)[..., NORMAL].argmin(1), len(DIGITS)).bool()
    forced = torch.where(worst, parse.states[..., NORMAL + 1 :].argmax(-1) + NORMAL + 1, likely)
    as_a_whole = margins["whole"] < 0
    states = torch.where(as_a_whole.unsqueeze(1), likely, torch.zeros_like(likely))
    states = torch.where((margins["states"] < 0).unsqueeze(1), forced, states)
    more = parse.extra[:, NO_EXTRA + 1 :].argmax(-1) + NO_EXTRA + 1
    extra = torch.where(as_a_whole, parse.extra.argmax(-1), torch.zeros_like(more))
    return states, torch.where(margins["extra"] < 0, more, extra)


def _anatomy(states: Tensor, extra: Tensor, margins: dict[str, Tensor]) -> Tensor:
    """Return (n, 8) bool, the anatomical criteria in order."""
    fused = states == FUSED
    fingers = (states[:, 1:] == ABSENT).any(1) | (extra == EXTRA_FINGER) | fused.any(1)
    thumb = (states[:, 0] == ABSENT) | (extra == EXTRA_THUMB)
    segments = ((states == SEGMENT_MISSING) | (states == SEGMENT_ADDED)).any(1)
    proportions = ((states == TOO_LONG) | (states == TOO_SHORT)).any(1)
    ghosts = (states == GHOST).any(1) | (extra > EXTRA_THUMB)
    wrong = [margins["hand"] < 0, fingers, thumb, segments, proportions, fused.any(1), ghosts, margins["whole"] < 0]
    return ~torch.stack(wrong, 1)


def _usual_sharpness(size: int, calibration: Calibration) -> tuple[float, float]:
    """Interpolate the median and the limit of real photographs between the measured sizes."""
    known = calibration.sharpness
    size = min(size, measures.LARGEST)
    for (low, median, limit), (high, later_median, later_limit) in pairwise(known):
        if size <= high:
            share = min(1.0, max(0.0, (size - low) / (high - low)))
            return median + share * (later_median - median), limit + share * (later_limit - limit)
    return known[-1][1], known[-1][2]


def _beyond(values: Tensor, limits: tuple[float, float]) -> Tensor:
    return (limits[0] - values).clamp(min=0) + (values - limits[1]).clamp(min=0)


def _score(margins: dict[str, Tensor], strange: Tensor, up: Tensor, sharp: Tensor) -> Tensor:
    parts = [0.5 * margins[name].clamp(max=0) for name in ("hand", "states", "extra")]
    anatomy = torch.sigmoid(STEEPNESS * (margins["whole"] + torch.stack(parts).sum(0)))
    tone = torch.exp(-strange / 15)
    upright = torch.sigmoid((torch.cos(torch.deg2rad(up)) - math.cos(math.radians(UPRIGHT))) * 8 + 2)
    return anatomy * tone * upright * sharp.clamp(0, 1).square()


def _doubts(parse: Parse, margins: dict[str, Tensor], seen: Tensor, pixels: Tensor, known: Calibration) -> Tensor:
    """Return (n, 7) bool, `REASONS` in order: why a verdict is not trusted."""
    never = torch.zeros_like(margins["hand"], dtype=torch.bool)
    if not known.doubts:
        return torch.stack([never] * len(REASONS), 1)
    cut, drawn, bent = (parse.doubts[:, number] > known.doubts[name] for number, name in enumerate(DOUBTS))
    worst = torch.stack([margins[name] for name in ("whole", "states", "extra")]).amin(0)
    unsure = (worst > known.doubts["unsure below"]) & (worst < known.doubts["unsure above"])
    low, high = parse.joints.amin(1), parse.joints.amax(1)
    small = (high - low).amax(1) * pixels < SMALLEST_HAND
    busy = measures.clutter(seen, parse.regions) > BUSY
    return torch.stack([margins["hand"] < 0, small, unsure & busy, cut, drawn, bent, unsure & ~busy], 1)


def to_judgements(found: Findings, size: int) -> list[Judgement]:
    """Convert findings on pictures of `size` pixels a side into judgements."""
    columns = (found.states, found.extra, found.holds, found.tone, found.up, found.sharpness, found.score)
    joints = found.frames.to_picture(found.parse.joints) if bool(found.frames.cut().any()) else found.parse.joints
    where = torch.cat([found.frames.centre * size, found.frames.side.unsqueeze(1) * size], 1)
    turns = torch.rad2deg(found.frames.turn)
    more = ((joints * size).tolist(), found.doubts.tolist(), where.tolist(), turns.tolist())
    rows = zip(*(column.tolist() for column in columns), *more, strict=True)
    return [_judgement(*row) for row in rows]


def _judgement(
    states: list[int],
    extra: int,
    holds: list[bool],
    tone: float,
    up: float,
    sharp: float,
    score: float,
    joints: list[list[float]],
    doubted: Sequence[bool] = (False,) * len(REASONS),
    box: Sequence[float] = (0.0, 0.0, 0.0),
    turn: float = 0.0,
) -> Judgement:
    digits = tuple(_digit(number, state, joints) for number, state in enumerate(states))
    fused = states.count(FUSED)
    fingers = sum(state != ABSENT for state in states[1:]) - max(int(fused > 0), fused - 1) + (extra == EXTRA_FINGER)
    thumbs = int(states[0] != ABSENT) + int(extra == EXTRA_THUMB)
    return Judgement(
        palm=holds[0],
        fingers=fingers if holds[0] else 0,
        thumbs=thumbs if holds[0] else 0,
        unplaced=int(extra != NO_EXTRA and holds[0]),
        digits=digits,
        wrist=(joints[0][0], joints[0][1]),
        tone_degrees=tone,
        tone_human=holds[8],
        up_degrees=up,
        up_right=holds[9],
        sharpness=sharp,
        sharp=holds[10],
        score=score,
        failures=tuple(name for name, held in zip(CRITERIA, holds, strict=True) if not held),
        anatomical=all(holds[:8]),
        correct=all(holds) and not any(doubted),
        trusted=not any(doubted),
        doubts=tuple(name for name, doubt in zip(REASONS, doubted, strict=True) if doubt),
        box=(box[0], box[1], box[2]),
        turn_degrees=turn,
    )


def _digit(number: int, state: int, joints: list[list[float]]) -> Digit:
    usual = 2 if number == 0 else 3
    segments = {ABSENT: 0, SEGMENT_MISSING: usual - 1, SEGMENT_ADDED: usual + 1}.get(state, usual)
    places = tuple((x, y) for x, y in joints[1 + 4 * number : 5 + 4 * number]) if segments else ()
    return Digit(DIGITS[number], STATES[state], segments, state not in (TOO_LONG, TOO_SHORT), places)
