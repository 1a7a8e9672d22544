import io
import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from agents.commands.demo.judge_tab import judge_drawn, judge_file
from agents.commands.demo.verdict import details, in_words
from agents.commands.judge.command import JudgeArgs, judge
from hand_env.anatomy import CRITERIA, Judge
from vae.images import to_float
from vae.images.synthetic import generate_hands


def png(picture, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def drawn():
    """A hand, and the same with a finger missing, (3, 96, 96) uint8 each."""
    return [generate_hands(1, 96, seed=1, defect=defect).images[0] for defect in ("none", "missing_digit")]


def channels_last(picture):
    return picture.permute(1, 2, 0).numpy()


def claimed(width, height):
    """A PNG whose header claims a size, and that holds no pixels."""
    parts = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_s_verdict_is_that_of_handlatent_judge(tmp_path, drawn):
    (tmp_path / "hand.png").write_bytes(png(channels_last(drawn[0])))
    row, _ = map(json.loads, judge(JudgeArgs([tmp_path / "hand.png"], json=True)).splitlines())
    (found,) = judge_file("hand.png", (tmp_path / "hand.png").read_bytes())["hands"]
    assert found["score"] == pytest.approx(row["score"])
    assert [each["criterion"] for each in found["criteria"] if not each["met"]] == row["failures"]
    assert found["overlay"].startswith("data:image/png;base64,")


def test_two_hands_have_a_verdict_each(drawn):
    both = np.concatenate([channels_last(drawn[0]), channels_last(drawn[0])[:, ::-1]], axis=1)
    assert len(judge_file("two.jpg", png(both, "JPEG", quality=95))["hands"]) == 2


def test_a_drawn_hand_is_judged_by_the_reporting_judge(drawn):
    (found,) = judge_drawn(png(channels_last(drawn[1])))["hands"]
    (wanted,) = Judge.load(architecture="reporter").judge(to_float(drawn[1])[None])
    assert found == details(drawn[1], wanted)
    assert found["score"] == wanted.score


def test_the_verdict_says_what_was_found_for_each_criterion(drawn):
    rows = {each["criterion"]: each for each in judge_drawn(png(channels_last(drawn[1])))["hands"][0]["criteria"]}
    assert list(rows) == list(CRITERIA)
    assert rows["palm"] == {"criterion": "palm", "met": True, "found": "a palm"}
    assert rows["fingers"]["met"] is False
    assert rows["fingers"]["found"].startswith("3 fingers, no ")
    assert rows["thumb"]["found"] == "1 thumb"


def test_a_verdict_in_words_names_what_fails(drawn):
    right, wrong = (Judge.load(architecture="reporter").judge(to_float(hand)[None])[0] for hand in drawn)
    assert in_words(right) == "correct"
    assert in_words(wrong).startswith("not anatomical: fingers")


BAD = {
    "empty": (b"", "is empty (0 bytes)"),
    "words": (b"no picture", "is not a picture in a format that is read"),
    "page": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture in a format that is read"),
    "thin": (png(np.zeros((20, 100, 3), np.uint8)), "is too long and thin (100 x 20 pixels; at most 4 : 1)"),
    "tiny": (png(np.zeros((5, 5, 3), np.uint8)), "is too small (5 x 5 pixels"),
    "cut off": (png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[:900], "is damaged"),
    "huge": (claimed(60_000, 60_000), "is too large to be decoded safely"),
    "float": (png(np.zeros((40, 40), np.float32), "TIFF"), "has floating-point pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_judged_gets_one_sentence(name):
    content, reason = BAD[name]
    with pytest.raises(ValueError, match="and cannot be judged") as refused:
        judge_file(name, content)
    message = str(refused.value)
    assert message.startswith(f"'{name}' {reason}")
    assert "\n" not in message


def test_only_the_page_s_own_pictures_are_judged_as_drawn():
    for content in (b"no picture", png(np.zeros((40, 50, 3), np.uint8)), png(np.zeros((16, 16, 3), np.uint8))):
        with pytest.raises(ValueError, match="The picture is none that the page drew: "):
            judge_drawn(content)


def test_a_picture_is_read_in_the_caller_s_modes(drawn):
    with torch.inference_mode():
        judge_file("hand.png", png(channels_last(drawn[0])))
