"""Train the anatomy judge from scratch."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.command_line.flags import check_above_zero, check_at_least, check_rates, check_seed
from agents.command_line.shell_words import typed
from agents.runs.checkpointing import Checkpointer
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import NUMBER, OBJECT, whole
from agents.runs.lock import held
from agents.runs.pictures import tell
from agents.runs.run_folder import CHECKPOINTS, claim_folder
from hand_env.anatomy.network import Architecture
from hand_env.anatomy.training import (
    JudgeTrainer,
    JudgeTraining,
    load_grounds,
    load_pack,
    write_grounds,
    write_landmarks,
    write_pack,
)
from vae.images.hands11k import left_out
from vae.progress import say

_OWN = ("landmarks.npz", "pack.npz", "grounds.npz", "parser.safetensors", "reporter.safetensors")
_STATE = {"network": OBJECT, "averaged": OBJECT, "optimizer": OBJECT, "steps": whole(0, 2**63), "spent": NUMBER}


@dataclass(frozen=True)
class JudgeTrainArgs:
    """Train the anatomy judge from scratch: find landmarks, pack photographs, train a network; keep existing files."""

    out: Path = Path("runs/judge")
    """Folder for the weights; a stopped training in this folder resumes."""
    data: Path | None = None
    """The 11k Hands download; not needed if there is a pack."""
    landmarks: Path | None = None
    """Photographs' joints, `.npz`; made with MediaPipe if missing (in the checkout: pip install -e ".[landmarks]")."""
    pack: Path | None = None
    """Photographs and joints in one file, `.npz`; made if missing."""
    grounds: Path | None = None
    """Backgrounds to put hands on, `.npz`; made if missing. The extra `judge-train` brings photographs for it."""
    start: Path | None = None
    """Weights of a judge to start from; default: new ones."""
    architecture: Architecture = "parser"
    """'parser' gives rewards; 'reporter' has another architecture and only reports."""
    seed: int = JudgeTraining.seed
    """Seed of weights, synthetic hands and batches. The number of steps in the given time depends on the machine."""
    seconds: float = JudgeTraining.seconds
    """Time to train the network, in seconds."""
    imitation_seconds: float = JudgeTraining.imitation_seconds
    """Seconds to train the first VAE that imitates generated pictures; the second takes 1.5 times as long. 0: none."""
    drawing_seconds: float = JudgeTraining.drawing_seconds
    """Longest wait for synthetic hands before the training starts, in seconds."""
    drawn: int = JudgeTraining.drawn
    """Number of synthetic hands to wait for; more are rendered during the training."""
    capacity: int = JudgeTraining.capacity
    """Largest number of synthetic hands in memory, 64 KiB each."""
    batch: int = JudgeTraining.batch
    """Hands per step."""
    rate: float = JudgeTraining.rate
    """Peak learning rate."""
    workers: int | None = JudgeTraining.workers
    """Worker processes that render them; 0: this process does. Default: as many as there are cores."""
    examples: int = JudgeTraining.examples
    """Number of synthetic validation hands of each kind."""
    device: str = "auto"
    """'auto', 'cpu' or 'cuda'."""


def judge_train(args: JudgeTrainArgs) -> Path:
    """Train a judge on the pack of photographs, which is made first if missing.

    Args:
        args: Settings.

    Returns:
        The file of the weights.

    Raises:
        ValueError: If there is neither a pack nor data, a setting is out of its range, or the folder holds other files
            or is in use.
        Interrupted: After Ctrl-C, once the training is saved.
    """
    check_at_least(1, args, "batch", "capacity", "drawn", "examples")
    check_at_least(0, args, "imitation_seconds", "drawing_seconds")
    if args.workers is not None:
        check_at_least(0, args, "workers")
    check_above_zero(args, "seconds")
    check_rates(args, "rate")
    check_seed(args.seed)
    with held(args.out):
        return _judge_train(args)


def _judge_train(args: JudgeTrainArgs) -> Path:
    checkpoints = args.out / CHECKPOINTS / args.architecture
    stopped = checkpoints.is_dir()
    claim_folder(args.out, is_own=lambda entry: stopped or entry.name in _OWN)
    settings = JudgeTraining(
        architecture=args.architecture,
        seed=args.seed,
        seconds=args.seconds,
        imitation_seconds=args.imitation_seconds,
        drawing_seconds=args.drawing_seconds,
        drawn=args.drawn,
        capacity=args.capacity,
        batch=args.batch,
        rate=args.rate,
        workers=args.workers,
        examples=args.examples,
        device=args.device,
        start=str(args.start or ""),
    )
    photographs = load_pack(_pack(args))  # before the textures, which take half a minute
    grounds = args.grounds or args.out / "grounds.npz"
    if not grounds.is_file():
        write_grounds(grounds, seed=args.seed)
    trainer = JudgeTrainer(settings, photographs, args.out, load_grounds(grounds))
    say(json.dumps(asdict(settings)), sys.stdout)
    try:
        return _train(trainer, Checkpointer(checkpoints, settings.every), typed("judge-train", args))
    finally:
        trainer.pool.close()


def _train(trainer: JudgeTrainer, checkpoints: Checkpointer, again: str) -> Path:
    state = checkpoints.load(_STATE)
    if state is not None:
        with checkpoints.restoring("network"):
            trainer.load_state_dict(state)
        checkpoints.resumed_at(trainer.steps)
        say(f"Resuming from step {trainer.steps}.", sys.stdout)

    def save() -> None:
        checkpoints.save(trainer.steps, trainer.state_dict())

    def stops() -> bool:
        if checkpoints.due:
            save()
        return checkpoints.ctrl_c.pressed

    try:
        trainer.prepare()
        checkpoints.folder.parent.mkdir(exist_ok=True)  # of both judges
        with checkpoints.ctrl_c:
            trainer.train(stops)
            save()  # what follows takes time and may be stopped too
        if checkpoints.ctrl_c.pressed:
            raise Interrupted(again)
        return trainer.finish()
    except KeyboardInterrupt:
        if checkpoints.step < 0:
            raise  # nothing is saved yet
        raise Interrupted(again) from None


def _pack(args: JudgeTrainArgs) -> Path:
    pack = args.pack or args.out / "pack.npz"
    if pack.is_file():
        return pack
    if args.data is None:
        raise ValueError(f"--data must be the 11k Hands download, because the pack {str(pack)!r} does not exist yet.")
    pack.parent.mkdir(parents=True, exist_ok=True)
    landmarks = args.landmarks or args.out / "landmarks.npz"
    if not landmarks.is_file():
        write_landmarks(args.data, landmarks)
    tell(left_out(args.data))
    return write_pack(args.data, landmarks, pack)
