"""What holds for every file of figures: compare.json and curriculum.json."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from damage import damaged, flipped

from agents.commands.compare import store as of_compare
from agents.commands.compare.methods import Cost
from agents.commands.curriculum import store as of_curriculum
from vae.distribution import Estimate

DAMAGED = 200  # files of each kind
SETTINGS = {"n": 20, "seed": 0}
FIGURES = {"correct": Estimate(0.5, 0.25, 0.75)}


@dataclass(frozen=True)
class Kind:
    """A file of figures: its module, one of its records, how they are read back, and the class that keeps them."""

    module: Any
    record: Any
    read: Any
    kept_in: Any

    @property
    def name(self):
        return self.module.FILE

    def store(self, folder, **changed):
        return self.kept_in(folder, {**SETTINGS, **changed})


KINDS = {
    "compare": Kind(
        of_compare,
        of_compare.MethodRecord("run", "whole", "abc", "mixture", "none", Cost(), FIGURES),
        lambda store: [store.find("abc", "mixture", "none")],
        of_compare.MethodStore,
    ),
    "curriculum": Kind(
        of_curriculum,
        of_curriculum.VAERecord("8", 8, 1, 4, "kl-2", 0, samplers={"normal": FIGURES}),
        lambda store: store.records,
        of_curriculum.VAEStore,
    ),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_other_settings_are_refused(kind, tmp_path):
    kind.store(tmp_path).add(kind.record)
    with pytest.raises(ValueError, match=r"holds figures with n 20, not 40\. Choose another --out"):
        kind.store(tmp_path, n=40)


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"settings": {}, "cells": [{}], "other_cells": []}'])
def test_a_damaged_file_is_refused(kind, tmp_path, content):
    (tmp_path / kind.name).write_text(content)
    with pytest.raises(ValueError, match=rf"{kind.name}' is damaged: .*Choose another --out; the other files stay in"):
        kind.store(tmp_path)


@pytest.mark.parametrize("settings", [[], ["n"], "n", None, 3])
def test_settings_that_are_no_object_are_damage(kind, tmp_path, settings):
    kind.store(tmp_path).add(kind.record)
    path = tmp_path / kind.name
    content = json.loads(path.read_text())
    del content["sha256"]
    path.write_text(json.dumps({**content, "settings": settings}))
    with pytest.raises(ValueError, match=rf"{kind.name}' is damaged: .*Choose another --out; the other files stay in"):
        kind.store(tmp_path)


def test_a_file_damaged_at_random_is_refused_or_changes_nothing(kind, tmp_path):
    kind.store(tmp_path).add(kind.record)
    path, said = tmp_path / kind.name, list[str]()
    rng, whole = np.random.default_rng(2), path.read_bytes()
    for number in range(DAMAGED):
        path.write_bytes((flipped, damaged)[number % 2](whole, rng))
        try:
            found = kind.read(kind.store(tmp_path))
        except ValueError as error:
            said.append(str(error))
        else:
            assert found == [kind.record]
    assert said
    assert all(str(path) in words for words in said)


def test_a_file_of_an_earlier_version_has_no_hash_and_is_read(kind, tmp_path):
    kind.store(tmp_path).add(kind.record)
    content = json.loads((tmp_path / kind.name).read_text())
    del content["sha256"]
    (tmp_path / kind.name).write_text(json.dumps(content))
    assert kind.read(kind.store(tmp_path)) == [kind.record]


def test_a_file_in_place_of_the_folder_is_refused(kind, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"is a file\. Choose a folder"):
        kind.store(tmp_path / "file")


def test_the_folder_is_claimed_at_once_and_settings_bind_it_from_the_first_figures_on(kind, tmp_path):
    kind.store(tmp_path)
    (tmp_path / "grid.png").touch()  # of the first cell, which was not finished
    kind.store(tmp_path, seed=1).add(kind.record)
    with pytest.raises(ValueError, match="holds figures with"):
        kind.store(tmp_path)


def test_a_folder_with_files_of_somebody_else_is_refused(kind, tmp_path):
    (tmp_path / "table.csv").touch()
    with pytest.raises(ValueError, match=r"must be a new or an empty folder, but it holds 'table\.csv'"):
        kind.store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
