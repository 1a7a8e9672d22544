import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

from agents.runs import packed_pictures
from agents.runs.packed_pictures import PARTS, PackedPictures, read_packed
from vae.files import save_tensors
from vae.images.synthetic import generate_hands


@pytest.fixture
def packed():
    pixels = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(30, 3, 32, 32).contiguous()
    return PackedPictures(pixels, pixels[:20], pixels[:20])


def test_a_larger_choice_contains_a_smaller_one_and_all_are_all(packed):
    few, more = (set(packed.choose(n, seed=5)[:, 0, 0, 0].tolist()) for n in ("8", "20"))
    assert len(few) == 8
    assert few < more
    assert set(packed.choose("8", seed=6)[:, 0, 0, 0].tolist()) != few
    assert torch.equal(packed.choose("all", seed=5), packed.training)
    with pytest.raises(ValueError, match=r"--n must be at most 30, the training pictures, got '31'"):
        packed.choose("31", seed=0)


def test_a_pack_is_written_once_and_then_stands_for_the_pictures(tmp_path):
    pack = tmp_path / "packs" / "hands.safetensors"
    first = read_packed("synthetic", 200, 32, pack)
    assert [len(part) for part in (first.training, first.validation, first.held_out)] == [160, 20, 20]
    assert set(load_file(pack)) == {"training", "validation", "held_out"}
    again = read_packed("absent", None, 32, pack)
    assert again.sha256 == first.sha256
    with pytest.raises(ValueError, match=r"must hold pictures of 64 pixels, got 32\. Choose another"):
        read_packed("synthetic", None, 64, pack)
    pack.write_bytes(b"no pack")
    with pytest.raises(ValueError, match=r"--pack '.*' is damaged, or no pack: .*\. Name another --pack; one that"):
        read_packed("synthetic", 200, 32, pack)


def test_a_pack_that_is_there_says_that_other_pictures_are_not_looked_at(tmp_path, capsys, packed):
    pack = tmp_path / "pack"
    save_tensors(pack, {name: getattr(packed, name) for name in PARTS})
    read_packed("synthetic", None, 32, pack)
    assert capsys.readouterr().err == ""
    for data, images in (("elsewhere", None), ("synthetic", 200)):
        read_packed(data, images, 32, pack)
        said = f"The pictures are those of --pack '{pack}': --data and --images are not looked at.\n"
        assert capsys.readouterr().err == said


def test_a_pack_that_another_command_writes_is_waited_for(tmp_path, monkeypatch, capsys, packed):
    pack, lock = tmp_path / "pack", FileLock(tmp_path / ".pack.lock")
    lock.acquire()

    def written_meanwhile(notes):
        print(*notes)
        save_tensors(pack, {name: getattr(packed, name) for name in PARTS})
        lock.release()

    monkeypatch.setattr(packed_pictures, "tell", written_meanwhile)
    assert read_packed("synthetic", None, 32, pack).sha256 == packed.sha256
    assert capsys.readouterr().out == f"Another command writes --pack '{pack}'. This one waits for it.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ("validation", None, "it must hold 'validation', which is missing"),
        ("training", torch.zeros(30, 3, 32, 32), r"'training' must be uint8 .*, got torch.float32 \(30, 3, 32, 32\)"),
        ("training", torch.zeros(5, dtype=torch.uint8), r"'training' must be uint8 .*, got torch.uint8 \(5,\)"),
        ("training", torch.zeros(0, 3, 32, 32, dtype=torch.uint8), "with n at least 1 "),
        ("held_out", torch.zeros(20, 3, 64, 64, dtype=torch.uint8), "and S as in 'training', got torch.uint8"),
        ("held_out", torch.zeros(19, 3, 32, 32, dtype=torch.uint8), "'held_out' must be .* with n at least 20 "),
    ],
)
def test_a_pack_of_other_tensors_is_one_sentence(tmp_path, packed, part, wrong, message):
    tensors = {name: wrong if name == part else getattr(packed, name) for name in PARTS}
    save_tensors(tmp_path / "pack", {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(ValueError, match=rf"--pack '.*' is damaged, or no pack: .*{message}.*\. Name another --pack; "):
        read_packed("synthetic", None, 32, tmp_path / "pack")


def test_too_few_held_out_pictures_are_refused():
    with pytest.raises(ValueError, match=r"at least 20 pictures each of validation and test people, got 2 and 2"):
        read_packed("synthetic", 20, 32, None)


def test_a_folder_without_the_download_s_table_is_read_as_it_is(tmp_path):
    images = generate_hands(220, 32, seed=0).images
    for number, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    packed = read_packed(str(tmp_path), None, 32, None)
    assert len(packed.training) + len(packed.validation) + len(packed.held_out) == 220
    with pytest.raises(FileNotFoundError, match="must be a folder of pictures, but is no folder"):
        read_packed(str(tmp_path / "absent"), None, 32, None)
