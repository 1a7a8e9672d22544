import os
import pickle
import shutil
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from vae.images import decode_picture, load_folder
from vae.images import reading as reading_module
from vae.images.cache import cache_folder, load_cached, store_cached


@pytest.fixture
def album(tmp_path):
    root = tmp_path / "album"
    root.mkdir()
    for index in range(3):
        Image.new("RGB", (20, 20), (80 * index, 0, 0)).save(root / f"{index}.png")
    return root


@pytest.fixture
def decoded(monkeypatch):
    """The paths decoded since."""
    paths = []

    def decode(path, *rest, **others):
        paths.append(path.name)
        return decode_picture(path, *rest, **others)

    monkeypatch.setattr(reading_module, "decode_picture", decode)
    return paths


def load(root, cache, size=16):
    return load_folder(root, size, cache_dir=cache, progress=False)


def test_second_load_decodes_nothing_and_gives_the_same(album, cache, decoded):
    first = load(album, cache)
    assert sorted(decoded) == ["0.png", "1.png", "2.png"]
    second = load(album, cache)
    assert len(decoded) == 3
    assert torch.equal(first.pixels, second.pixels)


def test_second_load_warns_of_the_same_problems(album, cache, decoded):
    (album / "1.png").write_bytes(b"")
    results = []
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1.png is empty"):
            results.append(load(album, cache))
    assert results[0].problems == results[1].problems
    assert results[1].names == ("0.png", "2.png")
    assert results[1].pixels[1, 0, 0, 0] == 160
    assert len(decoded) == 3


def test_cache_is_keyed_by_size(album, cache):
    assert load(album, cache, 16).pixels.shape[-1] == 16
    assert load(album, cache, 8).pixels.shape[-1] == 8


def test_cache_is_keyed_by_content_and_not_by_name_or_time(album, cache, decoded):
    load(album, cache)
    (album / "0.png").rename(album / "00.png")
    assert load(album, cache).names == ("00.png", "1.png", "2.png")
    assert len(decoded) == 3
    Image.new("RGB", (20, 20), (0, 0, 255)).save(album / "1.png")
    assert load(album, cache).pixels[1, 2, 0, 0] == 255
    assert len(decoded) == 6


def damage_truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


def damage_flip(file):
    content = bytearray(file.read_bytes())
    content[-50] ^= 255
    file.write_bytes(bytes(content))


def damage_empty(file):
    file.write_bytes(b"")


def damage_pickle(file):
    file.write_bytes(pickle.dumps({"pixels": torch.zeros(3)}))


def damage_length(file):
    file.write_bytes(b"\xff" * 64)


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip, damage_empty, damage_pickle, damage_length])
def test_damaged_cache_is_built_anew_without_a_word(album, cache, decoded, damage):
    first = load(album, cache)
    (file,) = cache.iterdir()
    damage(file)
    assert torch.equal(load(album, cache).pixels, first.pixels)
    assert len(decoded) == 6
    load(album, cache)
    assert len(decoded) == 6


def test_no_unfinished_file_is_left_behind(album, cache):
    load(album, cache)
    assert [file.suffix for file in cache.iterdir()] == [".safetensors"]


class Killed(BaseException):
    pass


def test_what_a_kill_left_of_a_cache_is_removed_once_nobody_can_be_writing_it(tmp_path, monkeypatch):
    """The library writes under a random name first."""

    def killed(tensors, path, metadata):
        (path.parent / ".tmpR4nd0m").write_bytes(b"half a file")
        raise Killed

    pixels, hour = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 3600.0
    with monkeypatch.context() as patch:
        patch.setattr("vae.images.cache.save_file", killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nothing is cleared when a process is killed
        with pytest.raises(Killed):
            store_cached(tmp_path / "a.safetensors", pixels, {})
    (left,) = tmp_path.iterdir()
    assert (left / ".tmpR4nd0m").exists()
    for hours, expected in ((1, {left.name, "b.safetensors"}), (25, {"b.safetensors"})):
        os.utime(left, times=(time.time() - hours * hour,) * 2)
        store_cached(tmp_path / "b.safetensors", pixels, {})
        assert {path.name for path in tmp_path.iterdir()} == expected


def test_cache_that_cannot_be_written_is_a_warning(album, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"could not be saved in .*Set HANDLATENT_CACHE to a folder"):
        images = load(album, tmp_path / "file" / "cache")
    assert len(images) == 3


def test_cached_pictures_of_other_number_size_or_problems_are_refused(tmp_path):
    file = tmp_path / "x.safetensors"
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    store_cached(file, pixels, {1: "is empty"})
    assert load_cached(file, 3, 8) is not None
    assert load_cached(file, 2, 8) is None
    assert load_cached(file, 3, 16) is None
    store_cached(file, pixels, {7: "is empty"})
    assert load_cached(file, 3, 8) is None


def test_argument_goes_before_the_variable_and_the_variable_before_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("HANDLATENT_CACHE", raising=False)
    assert "handlatent" in str(cache_folder())
    monkeypatch.setenv("HANDLATENT_CACHE", str(tmp_path / "variable"))
    assert cache_folder() == tmp_path / "variable"
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"


def test_home_is_found_in_the_name_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HANDLATENT_CACHE", "~/pictures")
    assert cache_folder() == tmp_path / "pictures"
    assert cache_folder("~/other") == tmp_path / "other"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_umask_decides_who_may_read_the_cache(tmp_path):
    before = os.umask(0o002)
    try:
        store_cached(tmp_path / "shared" / "a.safetensors", torch.zeros(1, 3, 2, 2, dtype=torch.uint8), {})
    finally:
        os.umask(before)
    file = tmp_path / "shared" / "a.safetensors"
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o664
    assert file.parent.stat().st_mode & 0o777 == 0o775


@pytest.mark.skipif(os.name == "nt", reason="Windows has no numbers of users")
@pytest.mark.parametrize("version", ["old", "new"])
def test_without_a_home_nothing_is_cached_and_a_warning_says_so(album, tmp_path, monkeypatch, version):
    """As in a container that runs under a number that no user has."""
    import pwd

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "HANDLATENT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if version == "old":
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.warns(UserWarning, match="the home folder of this user is unknown"):
        assert len(load(album, None)) == 3
    assert list(Path().iterdir()) == []
