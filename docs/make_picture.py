"""Draw the pictures of README and tutorial, hands.jpg and overlay.jpg: `python docs/make_picture.py`.

`hands.json` keeps what the reporting judge says of the hands, and which weights drew them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from agents import draw_hands
from hand_env import image_grid
from hand_env.anatomy import draw_overlay, judge_images
from hand_env.rendering import captioned
from vae.images import to_float

COLUMNS, FIRST, LATENTS, SEED = 10, 20, 700, 0
OVERLAID, OF = (0, 4, 156), 200  # two right hands, and one with three fingers


def picture() -> tuple[Image.Image, dict[str, Any]]:
    """Lay out the first hands as they come, and the first of the prior that the agent changed, without and with it.

    Rejection leaves the agent so little to correct that the prior alone shows what it does.

    Returns:
        The picture, and what the reporting judge says of it: for each panel the places of wrong hands, from 1.
    """
    with_agent = draw_hands(LATENTS, seed=SEED, sampler="prior")
    without = draw_hands(LATENTS, seed=SEED, sampler="prior", refine=False)
    changed = (with_agent.latents != without.latents).any(dim=1)
    chosen = torch.nonzero(changed).flatten()[:COLUMNS]
    record: dict[str, Any] = {"latents": LATENTS, "changed": int(changed.sum()), "shown": chosen.tolist(), "wrong": []}
    panels = [
        (f"The first {FIRST} hands as they come", draw_hands(FIRST, seed=SEED).images),
        (
            f"Without rejection and without the agent: the first {COLUMNS} of {LATENTS} that it changes",
            without.images[chosen],
        ),
        (f"The same {COLUMNS} latents with the agent", with_agent.images[chosen]),
    ]
    for _, images in panels:
        verdicts = judge_images(to_float(images), architecture="reporter")
        record["wrong"].append([place for place, verdict in enumerate(verdicts, start=1) if not verdict.correct])
    parts = [captioned(image_grid(images, columns=COLUMNS), caption) for caption, images in panels]
    return Image.fromarray(np.concatenate(parts)), record


def overlays() -> Image.Image:
    """Lay out what the rewarding judge saw on three hands."""
    images = to_float(draw_hands(OF, seed=SEED, sampler="prior", refine=False).images[list(OVERLAID)])
    parts = [draw_overlay(image, verdict) for image, verdict in zip(images, judge_images(images), strict=True)]
    return Image.fromarray(np.concatenate(parts, axis=1))


if __name__ == "__main__":
    folder = Path(__file__).parent
    overlays().save(folder / "overlay.jpg", quality=90)
    hands, found = picture()
    hands.save(folder / "hands.jpg", quality=90)
    manifest = json.loads((folder.parent / "agents/weights/photographs/package.json").read_text(encoding="utf-8"))
    (folder / "hands.json").write_text(json.dumps({**found, "weights": manifest["sha256"]}) + "\n", encoding="utf-8")
