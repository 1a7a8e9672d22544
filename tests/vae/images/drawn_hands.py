"""A tiny download laid out like 11k Hands, with hands drawn in a few strokes."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HEADER = "id,age,gender,skinColor,accessories,nailPolish,aspectOfHand,imageName,irregularities"
SKIN = (205, 150, 120)
TIPS = (
    (95, 235),
    (140, 262),
    (180, 268),
    (220, 250),
)  # of the fingers, in a photograph of 320 x 280, pointing down
THUMB = (278, 150)


def draw_hand(skin=SKIN, ground=(250, 251, 252), shift=0, sleeve=None):
    """Draw a hand whose fingers point down and whose arm leaves through the top; (280, 320, 3) uint8."""
    photo = Image.new("RGB", (320, 280), ground)
    pen = ImageDraw.Draw(photo)
    pen.rectangle([122 + shift, 0, 198 + shift, 90], fill=skin)
    pen.ellipse([100 + shift, 55, 220 + shift, 175], fill=skin)
    for (x, y), root in zip(TIPS, (115, 145, 172, 200), strict=True):
        pen.line([root + shift, 130, x + shift, y], fill=skin, width=22)
    pen.line([205 + shift, 105, THUMB[0] + shift, THUMB[1]], fill=skin, width=22)
    if sleeve:
        pen.rectangle([100 + shift, 0, 220 + shift, 25], fill=sleeve)
    return np.asarray(photo)


def write_download(root: Path, people: int = 10, views: int = 4) -> Path:
    """Write photographs; the aspects take turns, the first of each person wears a ring, one is irregular."""
    (root / "Hands").mkdir(parents=True)
    aspects = ("dorsal right", "palmar right", "dorsal left", "palmar left")
    lines = [HEADER]
    for index in range(people * views):
        person, view = divmod(index, views)
        name = f"Hand_{index:07d}.jpg"
        photo = draw_hand(skin=(205 - 8 * person, 150 - 7 * person, 120 - 7 * person), shift=3 * view - 5)
        Image.fromarray(photo).save(root / "Hands" / name, quality=95)
        ring, irregular, aspect = int(view == 0), int(index == 1), aspects[view % 4]
        lines.append(f'"{person:07d}",27,"male","fair",{ring},0,"{aspect}","{name}",{irregular}')
    (root / "HandInfo.csv").write_text("\n".join(lines) + "\n")
    return root
