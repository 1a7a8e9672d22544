"""The command `handlatent generate`: draw new hands and write them as pictures."""

from pathlib import Path

from agents.draw.settings import GenerateArgs, draw_as_asked, how_made, load_as_asked
from agents.runs.output_folder import new_pictures
from hand_env import image_grid
from hand_env.rendering import enlarged
from vae.files import save_json
from vae.images.overview import save_overview, save_picture
from vae.progress import progress_bar

SHOWN = 1000  # hands in the grid, at most
GRID, HOW_MADE = "grid.png", "generated.json"  # files beside the pictures


def generate(args: GenerateArgs) -> Path:
    """Draw hands; write hand-000.png and so on, grid.png (the first 1,000), and generated.json (how they were made).

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no finished run, a setting is wrong, or the folder cannot be used.
    """
    run = load_as_asked(args)
    with new_pictures(args.out) as folder:
        hands = draw_as_asked(args, run)
        for number, picture in enumerate(progress_bar(hands.images, "Writing", unit="pictures")):
            save_picture(folder / f"hand-{number:03d}.png", picture)
        save_overview(folder / GRID, image_grid(enlarged(hands.images[:SHOWN])))
        save_json(folder / HOW_MADE, how_made(args, hands))
    return args.out
