import json

import pytest

from agents.commands.curriculum.store import VAERecord, VAEStore
from vae.distribution import Estimate

SETTINGS = {"hands": 20, "size": 32}
DONE = VAERecord("8", 8, 1, 4, "none", 0, vae={"validation_loss_nats": -1.5}, seconds={"training": 2.0})
DRAWN = VAERecord("8", 8, 1, 4, "kl-2", 0, samplers={"normal": {"correct": Estimate(0.5, 0.25, 0.75)}})


def test_a_finished_cell_is_found_again_with_all_its_figures(tmp_path):
    first = VAEStore(tmp_path / "out", SETTINGS)
    first.add(DONE)
    first.add(DRAWN)
    second = VAEStore(tmp_path / "out", SETTINGS)
    assert second.records == [DONE, DRAWN]
    assert second.find(DRAWN.key) == DRAWN
    assert second.find(("8", 1, 4, "none", 1)) is None


def test_the_file_is_json_with_a_line_for_each_cell_settings_and_versions(tmp_path):
    store = VAEStore(tmp_path, SETTINGS)
    store.add(DONE)
    store.add(DRAWN)
    store.add(DRAWN)  # it replaces itself
    text = (tmp_path / "curriculum.json").read_text()
    content = json.loads(text)
    assert content["settings"] == SETTINGS
    assert "torch" in content["versions"]
    assert [cell["method"] for cell in content["cells"]] == ["none", "kl-2"]
    assert len([line for line in text.splitlines() if '"method"' in line]) == 2
    assert content["cells"][1]["samplers"]["normal"]["correct"] == [0.5, 0.25, 0.75]


def test_the_cell_of_another_agent_is_not_found(tmp_path):
    record = VAERecord("8", 8, 1, 4, "schedule", 0, agent_sha256="abc")
    store = VAEStore(tmp_path, SETTINGS)
    store.add(record)
    assert store.find(record.key, "abc") == record
    assert store.find(record.key, "other") is None


def test_figures_are_rounded_when_they_are_added_not_when_they_are_read_again(tmp_path):
    long = VAERecord("8", 8, 1, 4, "none", 0, samplers={"normal": {"score": Estimate(1 / 3, 0.0, 2 / 3)}})
    store = VAEStore(tmp_path, SETTINGS)
    store.add(long)
    assert store.records == VAEStore(tmp_path, SETTINGS).records
    assert store.records[0].samplers["normal"]["score"].value == 0.333333


def test_the_cells_of_other_folders_join_those_that_are_there(tmp_path):
    for name, records in (("a", [DONE]), ("b", [DRAWN, VAERecord("8", 8, 1, 4, "none", 0)])):
        store = VAEStore(tmp_path / name, SETTINGS)
        for record in records:
            store.add(record)
    store = VAEStore(tmp_path / "a", SETTINGS)
    store.join(tmp_path / "b")
    assert VAEStore(tmp_path / "a", SETTINGS).records == store.records == [DONE, DRAWN]
    with pytest.raises(FileNotFoundError, match=r"--join '.*absent' must hold a curriculum.json, and there is none"):
        store.join(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"--join '.*a' holds figures with hands 20, not 40\. Choose another --join\."):
        VAEStore(tmp_path / "c", {**SETTINGS, "hands": 40}).join(tmp_path / "a")
    (tmp_path / "b" / "curriculum.json").write_text("{")
    with pytest.raises(ValueError, match=r"curriculum\.json' is damaged: .*Choose another --join; the other files"):
        store.join(tmp_path / "b")
