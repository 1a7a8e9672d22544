"""The recipe's pictures: synthetic hands are rendered while photographs are read, and nothing else changes."""

import multiprocessing
from dataclasses import replace
from multiprocessing.process import BaseProcess

import pytest
import torch
from drawn_hands import write_download

from agents.commands.recipe import RecipeArgs, recipe
from agents.commands.recipe.pictures import gather, read_photographs, synthetic_hands
from agents.commands.recipe.stages import Stages
from vae.files import load_hashed_json, save_hashed_json


@pytest.fixture
def args(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    write_download(folder, people=12, views=1)
    return RecipeArgs(data=str(folder), out=tmp_path / "run", drawn=40, workers=1, device="cpu")


@pytest.fixture
def interrupt(monkeypatch):
    """A function that lets reading photographs raise an error; it returns a list of the processes that run then."""

    def interrupt(error):
        def load(*_, **__):
            found.extend(multiprocessing.active_children())
            raise error

        found = list[BaseProcess]()
        monkeypatch.setattr("agents.commands.recipe.pictures.load_hands11k", load)
        return found

    return interrupt


def same(one, other):
    for name, tensor in vars(one).items():
        torch.testing.assert_close(getattr(other, name), tensor, rtol=0, atol=0, equal_nan=True)


def test_hands_rendered_meanwhile_change_no_picture(args):
    stages = Stages()
    with synthetic_hands(args) as hands:
        photographs = read_photographs(args, hands)  # in the process that renders
        assert len(multiprocessing.active_children()) == 1
        meanwhile = gather(args, photographs, hands, "cpu", stages)
    assert list(stages.seconds) == ["joints", "synthetic_hands"]
    alone = replace(args, workers=0)
    with synthetic_hands(alone) as hands:
        one_by_one = gather(alone, read_photographs(alone, hands), hands, "cpu", Stages())
    same(meanwhile.photographs, one_by_one.photographs)
    same(meanwhile.drawn, one_by_one.drawn)
    assert torch.equal(meanwhile.others, one_by_one.others)
    assert len(meanwhile.drawn) == 40
    assert len(meanwhile.photographs) + len(meanwhile.others) < 12  # the test people's are not read


@pytest.mark.parametrize("error", [ValueError("a picture"), KeyboardInterrupt()])
def test_an_error_while_photographs_are_read_ends_the_rendering(args, interrupt, error):
    processes = interrupt(error)
    with pytest.raises(type(error)):
        recipe(replace(args, drawn=12_000))
    assert len(processes) == 1
    assert not processes[0].is_alive()
    assert not args.out.exists()


def test_a_wrong_folder_starts_no_process(args, tmp_path, monkeypatch):
    monkeypatch.setattr("vae.images.labelled.synthetic_pool._processes", None)
    with pytest.raises(FileNotFoundError, match=r"HandInfo\.csv' is missing"):
        recipe(replace(args, data=str(tmp_path)))


def test_a_run_that_has_its_samplers_renders_no_hands(args, interrupt):
    processes = interrupt(ValueError("a picture"))
    args.out.mkdir()
    (args.out / "report.json").touch()
    with pytest.raises(ValueError, match="a picture"):
        recipe(args)
    assert processes == []


def test_stages_are_measured_once_they_are_over_and_added_to_the_report(tmp_path):
    stages, path = Stages(), tmp_path / "report.json"
    with stages("first"):
        pass
    with pytest.raises(KeyboardInterrupt), stages("stopped"):
        raise KeyboardInterrupt
    assert list(stages.seconds) == ["first"]
    assert 0 <= stages.seconds["first"] < 5
    save_hashed_json(path, {"it": 1, "seconds": {"before": 2.0}})
    stages.add_to(path, "first")
    assert load_hashed_json(path) == {"it": 1, "seconds": {"before": 2.0, **stages.seconds}}
    save_hashed_json(path, {"it": 1})  # as an earlier version wrote it
    stages.add_to(path, "first")
    assert load_hashed_json(path) == {"it": 1, "seconds": stages.seconds}
