import pytest
import torch
from safetensors.torch import load_file

from agents.commands.curriculum import CurriculumArgs
from agents.commands.curriculum.material import Material, read_material


@pytest.fixture
def material():
    pixels = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(30, 3, 32, 32).contiguous()
    return Material(pixels, pixels[:20], pixels[:20])


def test_a_larger_choice_contains_a_smaller_one_and_all_are_all(material):
    few, more = (set(material.choose(n, seed=5)[:, 0, 0, 0].tolist()) for n in ("8", "20"))
    assert len(few) == 8
    assert few < more
    assert set(material.choose("8", seed=6)[:, 0, 0, 0].tolist()) != few
    assert torch.equal(material.choose("all", seed=5), material.training)
    with pytest.raises(ValueError, match=r"--n must be at most 30, the training pictures, got '31'"):
        material.choose("31", seed=0)


def test_a_pack_is_written_once_and_then_stands_for_the_pictures(tmp_path):
    args = CurriculumArgs(images=200, size=32, pack=tmp_path / "packs" / "hands.safetensors")
    first = read_material(args)
    assert [len(part) for part in (first.training, first.validation, first.held_out)] == [160, 20, 20]
    assert set(load_file(args.pack)) == {"training", "validation", "held_out"}
    again = read_material(CurriculumArgs(data="absent", size=32, pack=args.pack))
    assert again.sha256 == first.sha256
    with pytest.raises(ValueError, match=r"must hold pictures of 64 pixels, got 32\. Choose another"):
        read_material(CurriculumArgs(size=64, pack=args.pack))
    args.pack.write_bytes(b"no pack")
    with pytest.raises(ValueError, match=r"--pack '.*' is damaged: .*\. Remove it to write it again"):
        read_material(args)


def test_too_few_held_out_pictures_are_refused():
    with pytest.raises(ValueError, match=r"at least 20 pictures each of validation and test people, got 2 and 2"):
        read_material(CurriculumArgs(images=20, size=32))
