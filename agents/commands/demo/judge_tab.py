"""The tab "Judge", and a click on any hand: the overlay, and the verdict criterion by criterion."""

import io
from typing import Any

import torch

from agents.commands.demo.verdict import details
from hand_env.anatomy import judge_hands
from hand_env.anatomy.judge import default_judge
from hand_env.anatomy.picture_files import LARGEST, SMALLEST
from vae.images import to_float
from vae.images.decode import PictureError, decode_picture, decode_stored
from vae.images.folder import pad_to_square
from vae.torch_modes import usual_modes


@usual_modes()
def judge_file(name: str, content: bytes) -> dict[str, Any]:
    """Judge every hand of a picture of the user's, as `handlatent judge` does.

    Args:
        name: The file's name, for the message.
        content: What the file holds.

    Returns:
        {"hands": what `verdict.details` returns, for each hand}.

    Raises:
        ValueError: If it is no picture that can be judged.
    """
    try:
        if not content:
            raise PictureError("is empty (0 bytes)")
        picture = torch.from_numpy(decode_picture(io.BytesIO(content), SMALLEST, pad_to_square, largest=LARGEST))
    except PictureError as error:
        raise ValueError(f"{name!r:.120} {error}, and cannot be judged.") from error
    (found,) = judge_hands(default_judge("parser"), to_float(picture).unsqueeze(0))
    return {"hands": [details(picture, one) for one in found]}


@usual_modes()
def judge_drawn(content: bytes) -> dict[str, Any]:
    """Judge a hand that the page has shown, as `DrawnHands.judgements` does: by the reporting judge, without the crop.

    Args:
        content: The PNG that the page got.

    Returns:
        {"hands": [what `verdict.details` returns]}.

    Raises:
        ValueError: If it is none of the page's pictures.
    """
    try:
        picture = torch.tensor(decode_stored(content)).permute(2, 0, 1)
        (found,) = default_judge("reporter").judge(to_float(picture).unsqueeze(0))
    except ValueError as error:
        raise ValueError(f"The picture is none that the page drew: {error}") from error
    return {"hands": [details(picture, found)]}
