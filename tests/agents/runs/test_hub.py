"""Sets of weights on the hub, from a hub on this computer."""

import builtins
import json
import re
import shutil

import numpy as np
import pytest
from huggingface_hub import constants

from agents import load_packaged
from agents.runs.hub import WANTED, fetch, is_hub_name

NAME = "someone/hands"


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def stocked(hub, rejecting_set):
    hub.put(NAME, {**files_of(rejecting_set), "model.pkl": b"never fetched", "sac-HandRefine-v0.zip": b"nor this"})
    return hub


def test_a_set_on_the_hub_is_the_set_that_was_packed_and_nothing_else_is_fetched(stocked, rejecting_set, monkeypatch):
    monkeypatch.setattr("pickle.load", None)  # whoever unpickles fails
    monkeypatch.setattr("pickle.loads", None)
    there, here = load_packaged(NAME), load_packaged(rejecting_set)
    for name in ("prior", "rejection"):
        latents = here.samplers[name].sample(3, 0)
        assert np.array_equal(there.samplers[name].sample(3, 0), latents)
    assert np.array_equal(there.refiner.predict(latents.numpy())[0], here.refiner.predict(latents.numpy())[0])
    asked = {request.rpartition("/")[2] for request in stocked.requests if "/resolve/" in request}
    assert asked == set(WANTED)


def test_a_revision_is_the_one_that_was_named(hub, small_set):
    first = hub.put(NAME, files_of(small_set))
    hub.put(NAME, {})
    assert (fetch(f"{NAME}@{first}") / "package.json").is_file()
    with pytest.raises(ValueError, match=r"The hub refuses 'someone/hands@v9' with status 404 \(Invalid rev id: v9\)"):
        load_packaged(f"{NAME}@v9")


def test_a_set_that_is_not_there_or_private_is_one_sentence_that_names_the_way_to_log_in(hub, small_set):
    hub.put(NAME, files_of(small_set), private=True)
    for name in (NAME, "someone/else"):
        with pytest.raises(
            ValueError, match=rf"^The hub refuses '{name}' with status 404 \(.*\)\. Check .*hf auth login$"
        ):
            load_packaged(name)


def test_a_private_set_is_given_to_its_owner(hub, small_set, logged_in):
    hub.put(NAME, files_of(small_set), private=True)
    assert load_packaged(NAME).vae.size == 32


def unreachable(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there


def switched_off(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("cut", [unreachable, switched_off])
def test_without_a_network_the_cache_is_used_and_said_so_in_one_line(stocked, monkeypatch, cut):
    load_packaged(NAME)
    cut(monkeypatch)
    asked = len(stocked.requests)
    with pytest.warns(UserWarning, match="read from the cache") as said:
        assert load_packaged(NAME).refiner is not None
    (line,) = [str(each.message) for each in said]
    assert re.fullmatch(rf"The hub cannot be reached for '{NAME}' \(.*\)\. Check .* The set is read from .*'\.", line)
    assert len(stocked.requests) == asked


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_cannot_work_now_is_one_that_cannot_be_reached(stocked, status):
    load_packaged(NAME)
    stocked.status = status
    with pytest.warns(UserWarning, match=r"cannot be reached .*as the test wants it.* read from the cache"):
        load_packaged(NAME)


@pytest.mark.parametrize("cut", [unreachable, switched_off])
def test_without_a_network_and_a_cache_it_is_one_line(hub, monkeypatch, cut):
    cut(monkeypatch)
    with pytest.raises(
        ConnectionError,
        match=rf"^The hub cannot be reached for '{NAME}' \(.*\)\. .* does not hold the whole set either.$",
    ):
        load_packaged(NAME)


def test_a_cache_that_lacks_a_file_is_not_taken_for_a_set(stocked, monkeypatch):
    (fetch(NAME) / "prior.safetensors").unlink()
    switched_off(monkeypatch)
    with pytest.raises(ConnectionError, match="does not hold the whole set either"):
        load_packaged(NAME)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("prior.safetensors", b"another", "prior.safetensors is not the file that was packed"),
        ("prior.safetensors", None, "prior.safetensors is missing"),
        ("package.json", json.dumps({"settings": {}, "sha256": {"model.pkl": "0" * 64}}).encode(), "settings.size"),
        ("package.json", None, "No such file"),
    ],
)
def test_a_set_that_is_damaged_on_the_hub_is_refused(hub, small_set, file, content, message):
    files = {**files_of(small_set), file: content}
    hub.put(NAME, {name: data for name, data in files.items() if data is not None})
    with pytest.raises(ValueError, match=rf"are damaged: .*{message}"):
        load_packaged(NAME)


def test_a_folder_of_that_name_comes_first(hub, small_set, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_set, tmp_path / NAME)
    assert load_packaged(NAME).refiner is not None
    (tmp_path / NAME / "package.json").unlink()
    with pytest.raises(ValueError, match=f"The sets of weights are .*; got '{NAME}'"):
        load_packaged(NAME)
    assert hub.requests == []


def test_without_the_extra_it_is_one_sentence_that_names_it(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "huggingface_hub":
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"'someone/hands' .* extra 'hub'.* pip install -e \"\.\[hub\]\"$"):
        load_packaged(NAME)


@pytest.mark.parametrize("name", ["a/b", "a-b/c.d_e", "a/b@v1", "a/b@refs/pr/1"])
def test_a_name_of_the_hub_is_known(name):
    assert is_hub_name(name)


@pytest.mark.parametrize("name", ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@ ", "ä/b", "a/b\n", "~/b"])
def test_what_is_no_name_of_the_hub_is_refused_without_a_call(name, hub):
    assert not is_hub_name(name)
    with pytest.raises(ValueError, match="The sets of weights are"):
        load_packaged(name)
    assert hub.requests == []


def test_a_name_that_huggingface_hub_refuses_is_one_sentence(hub):
    with pytest.raises(ValueError, match=r"^The hub refuses 'a/b--c': [^\n]*$"):
        load_packaged("a/b--c")
