import io
import re
import shutil

import numpy as np
import pytest
from hub_server import read_card
from stable_baselines3 import SAC

from agents import load_packaged
from agents.cli import main
from agents.commands.hub import HubPullArgs, HubPushArgs, pull_set, push_set

NAME, ZIP = "someone/hands", "sac-HandRefine-v0.zip"


@pytest.fixture
def folder(small_set, tmp_path):
    """A copy of a set, with a file beside it that is nobody else's business."""
    copy = shutil.copytree(small_set, tmp_path / "set")
    (copy / "private.txt").write_text("not for others")
    return copy


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(capsys, *words):
    """Run a command that must fail; return its one sentence."""
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_files_of_the_manifest_the_card_and_the_zip_are_sent_and_nothing_else(hub, folder, logged_in, capsys):
    assert main(["hub", "push", str(folder), NAME]) == 0
    assert capsys.readouterr().out.endswith(f"/{NAME}/commit/{0:040x}\n")
    sent, here = hub.files(NAME), files_of(folder)
    assert sent.keys() == (here.keys() - {"private.txt"}) | {ZIP}
    for name in sent.keys() - {ZIP, "README.md"}:
        assert sent[name] == here[name]
    assert not hub.repositories[NAME]["private"]


def test_what_was_pushed_can_be_pulled_and_pushed_again(hub, folder, logged_in, tmp_path):
    push_set(HubPushArgs(folder, NAME))
    pulled = pull_set(HubPullArgs(NAME, tmp_path / "pulled"))
    push_set(HubPushArgs(pulled, "somebody/else"))
    card = hub.files("somebody/else")["README.md"].decode()
    assert card.count("## From the hub") == 1
    assert NAME not in card
    assert 'load_packaged("somebody/else")' in card
    assert load_packaged("somebody/else").refiner is not None


def test_the_card_on_the_hub_has_the_rates_of_the_set_and_says_how_to_fetch_it(hub, folder, logged_in):
    push_set(HubPushArgs(folder, NAME))
    card = read_card(hub.files(NAME)["README.md"].decode())
    assert (card.data.license, card.data.library_name, card.data.datasets) == ("mit", "handlatent", None)
    found = [(each.dataset_name, each.metric_type, each.metric_value) for each in card.data.eval_results]
    assert found == [
        (f"300 hands as {way}", criterion, value)
        for way in ("drawn from the prior", "corrected by the agent in 2 rounds")
        for criterion, value in (("correct", 25.0), ("anatomical", 30.0))
    ]
    for said in ("## Limits", f'`agents.load_packaged("{NAME}")`', f"`handlatent hub pull {NAME} --out set`", ZIP):
        assert said in card.text


def test_datasets_that_are_no_names_of_the_hub_are_left_out(hub, folder, logged_in):
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(
        card.replace("license: mit", "license: mit\ndatasets: [11k-hands, owner/pictures]")
    )
    push_set(HubPushArgs(folder, NAME))
    assert read_card(hub.files(NAME)["README.md"].decode()).data.datasets == ["owner/pictures"]


def test_the_zip_is_the_agent_for_stable_baselines3(hub, folder, logged_in):
    push_set(HubPushArgs(folder, NAME))
    model = SAC.load(io.BytesIO(hub.files(NAME)[ZIP]))
    seen = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    agent = load_packaged(folder).refiner
    assert np.array_equal(model.predict(seen, deterministic=True)[0], agent.predict(seen)[0])
    assert np.ptp(agent.predict(seen)[0]) > 0.01  # it does something


def test_private_makes_a_private_repository_and_refuses_one_that_everybody_sees(hub, folder, logged_in, capsys):
    push_set(HubPushArgs(folder, NAME, private=True))
    assert hub.repositories[NAME]["private"]
    hub.put("someone/open", {})
    said = refused(capsys, "hub", "push", folder, "someone/open", "--private")
    assert "--private: 'someone/open' is on the hub already, and everybody can see it." in said
    assert hub.files("someone/open") == {}


def test_without_a_token_nothing_is_asked(hub, folder, capsys):
    said = refused(capsys, "hub", "push", folder, NAME)
    assert said.endswith("Log in with: hf auth login, or set HF_TOKEN")
    assert hub.requests == []


def test_a_token_that_the_hub_does_not_take_is_one_sentence(hub, folder, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    said = refused(capsys, "hub", "push", folder, NAME)
    assert re.search(
        r"The hub refuses 'someone/hands' with status 401 \(.*Invalid username.*log in with: hf auth", said
    )
    assert hub.repositories == {}


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub, folder, logged_in, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    said = refused(capsys, "hub", "push", folder, NAME)
    assert re.search(r"The hub cannot be reached for 'someone/hands' \(.*\)\. Check the network\.$", said)


def test_a_card_that_the_hub_refuses_is_one_sentence(hub, folder, logged_in, capsys, monkeypatch):
    monkeypatch.setattr("agents.commands.hub.push.hub_card", lambda *_: "no front matter")
    said = refused(capsys, "hub", "push", folder, NAME)
    assert "The hub refuses 'someone/hands': Invalid metadata in README.md. - no licence." in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "README.md' is missing: a set on the hub needs its card. Pack the run again"),
        ("---\nlicense: [\n---\n", "README.md' has a front matter that cannot be read: .* Pack the run again"),
        ("---\nlicense: mit\nmodel-index: 3\n---\n", "README.md' has a front matter that cannot be read: "),
        ("---\ntags: [hands]\n---\n", "README.md' must name a licence in its front matter, and names none"),
    ],
)
def test_a_card_that_cannot_be_sent_is_refused_before_anything_is_asked(
    hub, folder, logged_in, capsys, content, message
):
    (folder / "README.md").unlink()
    if content is not None:
        (folder / "README.md").write_text(content)
    assert re.search(message, refused(capsys, "hub", "push", folder, NAME))
    assert hub.requests == []


def test_a_set_that_is_damaged_or_none_is_not_sent(hub, folder, logged_in, capsys, tmp_path):
    (folder / "prior.safetensors").write_bytes(b"another")
    assert "prior.safetensors is not the file that was packed" in refused(capsys, "hub", "push", folder, NAME)
    assert "is no set of weights: it has no package.json" in refused(capsys, "hub", "push", tmp_path, NAME)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["hands", "a/b@v1", "a/b/c"])
def test_a_name_of_another_form_is_one_sentence(name, capsys, folder):
    said = refused(capsys, "hub", "push", folder, name)
    assert said.endswith(f"OWNER/NAME must look like 'owner/name', got {name!r}.")
