"""The page in a real browser: wrong input gets one sentence, a job is stopped, and the next one runs."""

from dataclasses import replace
from itertools import count
from threading import Event

import pytest

from agents.commands.demo.train_tab import Side

pytestmark = pytest.mark.usefixtures("bright")

DESK = {"width": 1280, "height": 900}


def status(window, tab, text):
    """Wait until a tab's first form says something."""
    window.locator(f"#{tab} .status").first.filter(has_text=text).wait_for()


def refuses(window, form, label, wrong):
    """Type wrong numbers into a form's field and send each: one sentence says what is wrong with it."""
    field = form.get_by_label(label)
    line = form.locator("xpath=following-sibling::*[@role='status'][1]")
    for typed, said in wrong.items():
        field.fill("")
        field.press_sequentially(typed)
        field.press("Enter")
        line.filter(has_text=said).wait_for()
        assert "wrong" in line.get_attribute("class")
        assert field.get_attribute("aria-invalid") == "true"
        assert field.evaluate("each => each === document.activeElement")


SEEDS = {
    given: f"must be a whole number from 0 to 9007199254740991, {found}."  # the largest that JavaScript counts exactly
    for given, found in {
        "": "and it is missing",
        "-1": "got -1",
        "1.5": "got 1.5",
        "e": "and it is no number",
        "9007199254740992": "got 9007199254740992",
    }.items()
}


def test_wrong_numbers_get_one_sentence_and_the_page_goes_on(open_page):
    window = open_page(DESK)
    form, line = window.locator("#draw form"), window.locator("#draw .status")
    said = "Hands must be a whole number from 1 to 60, "
    refuses(window, form, "Hands", {"": f"{said}and it is missing.", "61": f"{said}got 61."})
    form.get_by_label("Hands").fill("1")
    refuses(window, form, "Seed", SEEDS)
    form.get_by_label("Seed").fill("0")
    form.get_by_label("Seed").press("Enter")
    line.filter(has_text="Correct without the agent").wait_for()
    assert "wrong" not in line.get_attribute("class")


def test_wrong_seeds_are_refused_in_move_and_the_hand_that_is_shown_still_moves(open_page):
    window = open_page(DESK, "move")
    form, picture = window.locator("#move form").first, window.locator("#moved img")
    refuses(window, form, "Seed", SEEDS)
    assert picture.count() == 0
    assert window.get_by_role("button", name="Back to 0").is_disabled()
    form.get_by_label("Seed").fill("3")
    form.get_by_label("Seed").press("Enter")
    slider = window.get_by_label("Direction 1 ")
    slider.wait_for()
    refuses(window, form, "Seed", SEEDS)
    before = picture.get_attribute("src")
    slider.press("End")
    window.locator(f"#moved img:not([src='{before}'])").wait_for()
    assert picture.get_attribute("alt").startswith("The hand of seed 3, moved: ")
    status(window, "move", "")
    between = window.locator("#between")
    for label in ("First seed", "Second seed"):
        refuses(window, between, label, SEEDS)
        between.get_by_label(label).fill("2")
    assert window.locator("#path .hand").count() == 0
    between.get_by_role("button", name="Go").click()
    window.locator("#path .hand").nth(8).wait_for()


def test_wrong_seeds_and_weights_without_an_agent_are_refused_in_watch(open_page, weights, monkeypatch):
    window = open_page(DESK, "watch")
    form = window.locator("#watch form")
    refuses(window, form, "Seed", SEEDS)
    form.get_by_label("Seed").fill("0")
    name = weights.names[0]
    monkeypatch.setitem(weights._read, name, replace(weights[name], refiner=None))
    form.get_by_role("button", name="Watch").click()
    status(window, "watch", "have no agent for HandRefine-v0. Train one with: handlatent refine RUN")
    assert "wrong" in window.locator("#watch .status").get_attribute("class")
    assert window.locator("#steps .hand").count() == window.locator("#scores circle").count() == 0


@pytest.mark.usefixtures("small_training")
def test_a_live_training_is_stopped_and_the_next_job_runs(open_page, monkeypatch):
    clicked, steps, step = Event(), count(), Side.step

    def wait_for_the_click(side):
        if next(steps) >= 20:
            clicked.wait(60)  # seconds, should the page fail
        step(side)

    monkeypatch.setattr(Side, "step", wait_for_the_click)
    window = open_page(DESK, "train")
    panel = window.locator("#train")
    panel.get_by_label("Hands").fill("32")
    panel.get_by_label("Epochs").fill("60")
    panel.get_by_role("button", name="Train").click()
    panel.locator("figcaption").nth(1).filter(has_text="Epoch 5: ").wait_for()  # after which the training waits
    window.get_by_text("20 of 240 training steps, about").wait_for()
    panel.get_by_role("button", name="Stop").click()
    clicked.set()
    status(window, "train", "Stopped.")
    assert panel.get_by_role("button", name="Stop").is_disabled()
    assert "wrong" not in panel.locator(".status").get_attribute("class")
    reached = panel.locator("progress").evaluate("each => each.value")
    assert reached == 20 / 240
    window.get_by_role("tab", name="Draw").click()
    window.locator("#draw").get_by_label("Hands").fill("1")
    window.get_by_role("button", name="Draw", exact=True).click()
    status(window, "draw", "Correct without the agent")
    assert panel.locator("progress").evaluate("each => each.value") == reached  # and nothing came after the stop
    assert all(caption.startswith("Epoch ") for caption in panel.locator("figcaption").all_inner_texts())
    window.get_by_role("tab", name="Train").click()
    refuses(window, panel.locator("form"), "Hands", {"31": "Hands must be a whole number from 32 to 2000, got 31."})
    panel.get_by_label("Hands").fill("32")
    refuses(window, panel.locator("form"), "Epochs", {"61": "Epochs must be a whole number from 1 to 60, got 61."})


@pytest.mark.usefixtures("small_training")
def test_a_training_is_stopped_before_it_begins(open_page):
    window = open_page(DESK, "train")
    panel = window.locator("#train")
    panel.get_by_label("Hands").fill("2000")
    panel.get_by_role("button", name="Train").click()
    status(window, "train", "Rendering hands to train on")
    panel.get_by_role("button", name="Stop").press("Enter")
    status(window, "train", "Stopped.")
    assert window.evaluate("document.activeElement.textContent") == "Train"


def test_a_file_that_is_too_large_is_not_even_sent(open_page, tmp_path):
    window = open_page(DESK, "judge")
    sent: list[str] = []
    window.on("request", lambda request: sent.append(request.url))
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(20_500_000)
    window.locator("#judge input").set_input_files(tmp_path / "large.png")
    status(window, "judge", "'large.png' has 20.5 MB, and at most 20 MB are read. Make it smaller.")
    assert sent == []


def test_a_server_that_is_gone_is_said_in_one_sentence(open_page):
    window = open_page(DESK)
    window.route("**/api/draw", lambda route: route.abort())
    window.get_by_role("button", name="Draw", exact=True).click()
    status(window, "draw", "The server does not answer. Is `handlatent demo` still running?")
