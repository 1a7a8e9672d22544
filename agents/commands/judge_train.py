"""Train the anatomy judge from nothing."""

from dataclasses import dataclass
from pathlib import Path

from hand_env.anatomy.network import Architecture
from hand_env.anatomy.training import JudgeTraining, train_judge, write_landmarks, write_pack


@dataclass(frozen=True)
class JudgeTrainArgs:
    """Train the anatomy judge from nothing: landmarks, pack of photographs, network; what is there already is kept."""

    out: Path = Path("runs/judge")
    """Folder for the weights; a run that was stopped there goes on."""
    data: Path | None = None
    """The 11k Hands download; not needed where a pack is given."""
    landmarks: Path | None = None
    """The photographs' joints, `.npz`; made with MediaPipe (pip install 'handlatent[landmarks]') if it is not there."""
    pack: Path | None = None
    """Photographs and joints in one file, `.npz`; made if it is not there."""
    architecture: Architecture = "parser"
    """'parser' pays rewards, 'reporter' is another make that only reports."""
    seed: int = JudgeTraining.seed
    """Of weights, drawings and batches; how many steps fit into the time depends on the machine."""
    seconds: float = JudgeTraining.seconds
    """For training the network."""
    imitation_seconds: float = JudgeTraining.imitation_seconds
    """For the first of two small VAEs that imitate generated pictures; the second takes half as long again. 0: none."""
    drawing_seconds: float = JudgeTraining.drawing_seconds
    """Longest wait for synthetic hands before training begins."""
    drawn: int = JudgeTraining.drawn
    """Synthetic hands to wait for; more are drawn beside training."""
    capacity: int = JudgeTraining.capacity
    """Most synthetic hands held in memory, 64 KiB each."""
    batch: int = JudgeTraining.batch
    """Hands a step."""
    workers: int = JudgeTraining.workers
    """Processes that draw; 0: none beside this one."""
    examples: int = JudgeTraining.examples
    """Synthetic validation hands of each kind."""
    device: str = "auto"
    """'auto', 'cpu' or 'cuda'."""


def judge_train(args: JudgeTrainArgs) -> Path:
    """Train a judge.

    Args:
        args: Settings.

    Returns:
        The weights' file.

    Raises:
        ValueError: If neither a pack nor data is given, or a setting is wrong.
    """
    if min(args.batch, args.capacity, args.drawn, args.examples) < 1 or args.seconds <= 0:
        raise ValueError("--batch, --capacity, --drawn, --examples and --seconds must be above 0.")
    settings = JudgeTraining(
        architecture=args.architecture,
        seed=args.seed,
        seconds=args.seconds,
        imitation_seconds=args.imitation_seconds,
        drawing_seconds=args.drawing_seconds,
        drawn=args.drawn,
        capacity=args.capacity,
        batch=args.batch,
        workers=args.workers,
        examples=args.examples,
        device=args.device,
    )
    return train_judge(settings, _pack(args), args.out)


def _pack(args: JudgeTrainArgs) -> Path:
    pack = args.pack or args.out / "pack.npz"
    if pack.is_file():
        return pack
    if args.data is None:
        raise ValueError(f"--data must name the 11k Hands download, as there is no pack {str(pack)!r} yet.")
    pack.parent.mkdir(parents=True, exist_ok=True)
    landmarks = args.landmarks or args.out / "landmarks.npz"
    if not landmarks.is_file():
        write_landmarks(args.data, landmarks)
    return write_pack(args.data, landmarks, pack)
