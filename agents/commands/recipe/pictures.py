"""The pictures of the recipe: synthetic hands and photographs, with their joints and regions."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from agents.commands.recipe.annotate import annotate
from agents.commands.recipe.args import RecipeArgs
from agents.commands.recipe.stages import Stages
from agents.runs.pictures import tell
from agents.runs.run_folder import REPORT
from hand_env.anatomy import Judge
from vae.adversarial.batches import Batches
from vae.images import SPLIT_SEED, load_hands11k, split_by_group
from vae.images.hands11k import left_out
from vae.images.labelled.hands import CANVAS, Hands
from vae.images.labelled.synthetic_pool import RightHands, render_right_hands
from vae.seeds import Purpose, stream_seed

LATENT_PICTURES = 2048  # most synthetic hands that HandLatent-v0 gets
HELD_OUT = 40  # one of this many synthetic hands is held out, for validation without photographs


@dataclass(frozen=True, eq=False)
class RecipePictures:
    """The pictures of the recipe.

    Attributes:
        photographs: Photographs of training people; None if the recipe uses synthetic hands only.
        drawn: Synthetic hands.
        others: (m, 3, 128, 128) uint8, photographs of validation people, or held-out synthetic hands.
    """

    photographs: Hands | None
    drawn: Hands
    others: Tensor

    def batches(self, device: str) -> Batches:
        """Return what makes batches of them on a device."""
        photographs = None if self.photographs is None else self.photographs.to(device)
        return Batches(photographs, self.drawn.to(device))


def read_photographs(args: RecipeArgs, hands: RightHands) -> tuple[Tensor, Tensor]:
    """Read the photographs of training and of validation people, without those marked as irregular.

    If the run needs the synthetic hands, the processes that will render them read the photographs first. Several
    threads of one process would wait for Python's lock, which finding the hand in a photograph holds.
    """
    processes = None
    if not (args.out / REPORT).is_file():
        left_out(args.data)  # a wrong folder is refused before processes start
        processes = hands.processes()
    found = load_hands11k(Path(args.data), CANVAS, irregularities="exclude", executor=processes)
    tell(found.notes)
    if processes is not None:
        hands.start()
    split = split_by_group(found.groups, found.all_groups, seed=SPLIT_SEED)
    return found.pixels[split.train], found.pixels[split.validation]


def synthetic_hands(args: RecipeArgs) -> RightHands:
    """Return the synthetic hands; their rendering has not started yet."""
    return RightHands(args.drawn + _held_out(args), _seed(args), args.workers)


def gather(
    args: RecipeArgs, photographs: tuple[Tensor, Tensor] | None, hands: RightHands, device: str, stages: Stages
) -> RecipePictures:
    """Find the photographs' joints and regions, and wait for the synthetic hands, which are rendered meanwhile."""
    labelled = None
    if photographs is not None:
        with stages("joints"):
            labelled = annotate(photographs[0], Judge.load(device=device))
    with stages("synthetic_hands"):
        all_hands = hands.collect()
    drawn, rest = all_hands.take(slice(args.drawn)), all_hands.images[args.drawn : args.drawn + _held_out(args)]
    return RecipePictures(labelled, drawn, rest if photographs is None else photographs[1])


def some_synthetic_hands(args: RecipeArgs) -> Tensor:
    """Return some of the synthetic hands, for HandLatent-v0."""
    return render_right_hands(min(args.drawn, LATENT_PICTURES), _seed(args), args.workers).images


def _held_out(args: RecipeArgs) -> int:
    return max(1, args.drawn // HELD_OUT)


def _seed(args: RecipeArgs) -> int:
    return stream_seed(args.seed, Purpose.RECIPE_HANDS) % 2**31
