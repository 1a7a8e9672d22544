"""Files that were damaged at random are read, or refused with a reason: no other error, and nothing outside touched.

`make test` runs the short form, `make faults` the long one. The damage is seeded.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import damaged
from drawn_hands import write_download
from PIL import Image

import agents
from agents.runs.manifest import NEEDED, OPTIONAL, read_manifest
from vae.images.decode import FORMATS
from vae.images.folder import pad_to_square
from vae.images.handinfo import read_handinfo
from vae.images.reading import read_at_own_size

AMOUNTS = [100, pytest.param(1000, marks=pytest.mark.long)]


def written(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_picture_is_read_or_left_out_with_a_reason(tmp_path, kind, amount):
    rng, whole = np.random.default_rng(FORMATS.index(kind)), written(kind)
    paths = [tmp_path / f"{number}.png" for number in range(amount)]
    for path in paths:
        path.write_bytes(damaged(whole, rng))
    pictures, usable, problems = read_at_own_size(paths, [path.name for path in paths], 32, 64, pad_to_square)
    assert len(usable) + len(problems) == amount
    assert problems
    assert all(picture.shape[0] == 3 and 32 <= picture.shape[1] == picture.shape[2] <= 64 for picture in pictures)
    assert all(problem.reason.startswith(("is ", "cannot be read", "has ")) for problem in problems)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_a_damaged_table_of_people_is_read_or_refused_and_never_makes_new_kinds_of_ids(tmp_path, amount):
    table = write_download(tmp_path, people=3, views=4) / "HandInfo.csv"
    rng, whole, said = np.random.default_rng(1), table.read_bytes(), list[str]()
    for _ in range(amount):
        table.write_bytes(damaged(whole, rng, most=1))
        try:
            rows = read_handinfo(table)
        except ValueError as error:
            said.append(str(error))
        else:
            assert all(len(row.person) == 7 and row.person.isdecimal() for row in rows)
            assert all(Path(row.image).name == row.image for row in rows)
    assert 0 < len(said) < amount
    assert all("HandInfo.csv'" in words for words in said)


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_damaged_package_json_names_no_file_outside_its_folder(tmp_path, amount):
    whole = (Path(agents.__file__).parent / "weights" / "synthetic" / "package.json").read_bytes()
    rng, refused = np.random.default_rng(4), 0
    for _ in range(amount):
        (tmp_path / "package.json").write_bytes(damaged(whole, rng, most=1))
        try:
            manifest = read_manifest(tmp_path)
        except ValueError:
            refused += 1
        else:
            assert set(NEEDED) <= set(manifest["sha256"]) <= {*NEEDED, *OPTIONAL}
    assert 0 < refused < amount


def test_a_package_json_of_any_shape_is_refused(tmp_path):
    rng = np.random.default_rng(3)
    whole = json.loads((Path(agents.__file__).parent / "weights" / "synthetic" / "package.json").read_text())
    odd: list[Any] = [None, True, -1, 10**30, 1.5, "", "../x", [], {}, [{}], float("inf")]
    for _ in range(200):
        content = json.loads(json.dumps(whole))
        part = content[("settings", "sha256")[int(rng.integers(0, 2))]]
        part[list(part)[int(rng.integers(0, len(part)))]] = odd[int(rng.integers(0, len(odd)))]
        (tmp_path / "package.json").write_text(json.dumps(content))
        if content["settings"].get("data") in ("", "../x"):  # any text
            continue
        with pytest.raises(ValueError, match=r"package\.json"):
            read_manifest(tmp_path)
