"""The page in a real browser: each tab does its job, with the keyboard and on a phone's width."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from vae.images.synthetic import generate_hands

pytestmark = pytest.mark.usefixtures("bright")

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TABS = ("draw", "move", "watch", "train", "judge")
SOON = 2000  # milliseconds to the first paint


def fits(window):
    """Whether nothing sticks out of the window at the side."""
    return window.evaluate("document.documentElement.scrollWidth <= innerWidth")


def status(window, tab, text):
    """Wait until a tab's first form says something."""
    window.locator(f"#{tab} .status").first.filter(has_text=text).wait_for()


@pytest.mark.parametrize("width", [320, 360, 390, 1280])
def test_the_first_paint_comes_soon_and_every_tab_fits(open_page, width):
    window = open_page({"width": width, "height": 844})
    paints = window.evaluate("performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)")
    assert len(paints) == 1
    assert paints[0] < SOON
    for tab in TABS:
        window.get_by_role("tab", name=tab.capitalize()).click()
        assert window.locator(f"#{tab}").is_visible()
        assert fits(window), tab


def test_the_keyboard_alone_draws_hands_and_looks_at_one(open_page):
    window = open_page(DESK)
    press = window.keyboard.press
    press("Tab")
    press("ArrowLeft")  # there is nothing to the left
    press("ArrowRight")
    assert window.locator("#move").is_visible()
    press("ArrowLeft")
    for _ in range(4):
        press("Tab")
    assert window.evaluate("document.activeElement.name") == "n"
    press("ControlOrMeta+A")
    window.keyboard.type("5")
    press("Enter")
    status(window, "draw", "Correct with the agent: ")
    assert window.locator("#draw [data-side=without] .hand").count() == 5
    assert window.locator("#draw [data-side=with] .hand").count() == 5
    marked = window.locator("#draw .changed").count()
    assert f"The agent changed {marked} of 5 hands." in window.locator("#draw .status").inner_text()
    press("Tab")  # the button "Draw"
    press("Tab")  # "Stop" is disabled: one Tab goes to the hands, and the arrows move among them
    press("ArrowRight")
    press("End")
    press("Enter")
    dialog = window.get_by_role("dialog", name="Hand 5, without the agent")
    dialog.locator("tr").nth(10).wait_for()
    assert dialog.locator("th").all_inner_texts()[:3] == ["palm", "fingers", "thumb"]
    assert dialog.get_by_alt_text("The judge's findings").evaluate("each => each.naturalHeight") == 416
    press("Escape")
    dialog.wait_for(state="hidden")
    assert "Hand 5, without the agent" in window.evaluate("document.activeElement.firstChild.alt")


@pytest.mark.usefixtures("small_training")
def test_the_keyboard_alone_trains(open_page):
    window = open_page(DESK)
    press, focus = window.keyboard.press, "document.activeElement.name"
    press("Tab")
    for _ in range(3):
        press("ArrowRight")
    for name, typed in (("images", "32"), ("size", ""), ("epochs", "1")):
        press("Tab")
        assert window.evaluate(focus) == name
        if typed:
            press("ControlOrMeta+A")
            window.keyboard.type(typed)
    press("Enter")
    status(window, "train", "Done.")
    assert window.locator("#train figure img").first.is_visible()


def test_the_keyboard_alone_moves_watches_and_judges(open_page, tmp_path):
    hand = generate_hands(1, 128, seed=1).images[0].permute(1, 2, 0).numpy()
    Image.fromarray(hand).save(tmp_path / "hand.png")
    window = open_page(DESK)
    window.on("filechooser", lambda chooser: chooser.set_files(tmp_path / "hand.png"))
    press, focus = window.keyboard.press, "document.activeElement"
    press("Tab")
    press("ArrowRight")
    for _ in range(3):
        press("Tab")
    press("Enter")  # on "Take this hand"
    slider = window.get_by_label("Direction 1 ")
    slider.wait_for()
    for _ in range(3):  # "Back to 0", the hand, the slider
        press("Tab")
    assert window.evaluate(f"{focus}.labels[0].firstChild.textContent").startswith("Direction 1 ")
    press("ArrowRight")
    assert slider.input_value() == "0.1"
    window.goto(f"{window.url.partition('#')[0]}#watch")
    window.reload()
    window.wait_for_selector("body[data-ready]")
    press("Tab")
    assert window.evaluate(f"{focus}.id") == "tab-watch"
    for _ in range(3):
        press("Tab")
    window.keyboard.type("random")  # in the list of agents
    press("Tab")
    press("Enter")  # in the field of the seed
    status(window, "watch", "Done.")
    assert window.evaluate(f"{focus}.name") == "seed"
    for _ in range(2):
        press("Tab")
    press("End")
    press("Enter")
    window.get_by_role("dialog", name="Step 6").locator("tr").nth(10).wait_for()
    press("Escape")
    for _ in range(5):
        press("Shift+Tab")
    press("Shift+Tab")
    assert window.evaluate(f"{focus}.id") == "tab-watch"
    press("End")
    assert window.locator("#judge").is_visible()
    press("Tab")
    assert window.evaluate(f"{focus}.type") == "file"
    press("Enter")
    status(window, "judge", "Judged 'hand.png'.")


def test_weights_and_sampler_are_chosen(open_page):
    window = open_page(DESK)
    panel = window.locator("#draw")
    panel.get_by_label("Hands").fill("1")
    chosen, sampler = panel.get_by_label("Weights"), panel.get_by_label("Sampler")
    pictures = set()
    for weights, name in ((0, "auto"), (0, "normal"), (1, "normal")):
        chosen.select_option(index=weights)
        sampler.select_option(name)
        panel.get_by_role("button", name="Draw").click()
        status(window, "draw", "Correct with the agent: ")
        pictures.add(panel.locator("[data-side=without] img").get_attribute("src"))
    assert chosen.input_value() == "photographs"
    assert sampler.locator("option").all_inner_texts() == ["auto", "rejection", "prior", "normal"]
    assert len(pictures) == 3


def test_a_slider_moves_the_hand_and_an_arc_leads_to_another(open_page):
    window = open_page(PHONE, "move")
    window.get_by_role("button", name="Take this hand").click()
    slider = window.get_by_label("Direction 1 ")
    slider.wait_for()
    picture = window.locator("#moved img")
    before = picture.get_attribute("src")
    slider.focus()
    for _ in range(30):
        window.keyboard.press("ArrowRight")
    assert slider.input_value() == "3"
    window.locator(f"#moved img:not([src='{before}'])").wait_for()
    window.get_by_role("button", name="Back to 0").click()
    window.locator(f"#moved img[src='{before}']").wait_for()
    window.get_by_role("button", name="Go", exact=True).click()
    window.locator("#path .hand").nth(8).wait_for()
    assert window.locator("#path .hand span").all_inner_texts()[::4] == ["0 %", "50 %", "100 %"]
    assert fits(window)


def test_an_agent_is_watched_step_by_step(open_page):
    window = open_page(PHONE, "watch")
    window.locator("#watch").get_by_label("Agent").select_option("random")
    window.get_by_role("button", name="Watch", exact=True).click()
    status(window, "watch", "Done.")
    notes = window.locator("#steps .hand span").all_inner_texts()
    assert len(notes) == 7
    assert notes[0].endswith("as drawn")
    assert all("kept" in note or "dropped" in note for note in notes[1:])
    dropped = sum("dropped" in note for note in notes)
    assert [window.locator(f"#scores circle.{name}").count() for name in ("kept", "dropped")] == [7 - dropped, dropped]
    ticks = window.locator("#scores text[text-anchor=end]").all_text_contents()
    values = [float(tick.replace("\N{MINUS SIGN}", "-")) for tick in ticks]
    steps = {round(after - before, 6) for before, after in pairwise(values)}
    assert len(steps) == 1
    assert f"{steps.pop():e}"[0] in "125"  # a round number
    assert fits(window)


@pytest.mark.usefixtures("small_training")
def test_two_vaes_learn_beside_each_other(open_page):
    window = open_page(PHONE, "train")
    panel = window.locator("#train")
    panel.get_by_label("Hands").fill("32")
    panel.get_by_label("Epochs").fill("2")
    panel.get_by_role("button", name="Train").click()
    status(window, "train", "Done.")
    captions = panel.locator("figcaption").all_inner_texts()
    assert all(caption.startswith("Epoch 2: ") for caption in captions)
    boxes = [panel.locator("figure img").nth(number).bounding_box() for number in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert panel.locator("#losses circle").count() == panel.locator("#rates circle").count() == 4
    assert panel.locator("#decisions li").count() == 2
    assert panel.locator("progress").evaluate("each => each.value") == 1
    assert fits(window)


def test_a_picture_of_one_s_own_is_judged_and_a_bad_file_gets_one_sentence(open_page, tmp_path):
    window = open_page(PHONE, "judge")
    hand = generate_hands(1, 128, seed=1).images[0].permute(1, 2, 0).numpy()
    Image.fromarray(hand).save(tmp_path / "my hand.png")
    Image.fromarray(np.zeros((20, 100, 3), np.uint8)).save(tmp_path / "thin.png")
    (tmp_path / "words.jpg").write_text("no picture")
    chooser = window.locator("#judge input")
    for name, said in (("words.jpg", "'words.jpg' is not a picture"), ("thin.png", "'thin.png' is too long and thin")):
        chooser.set_input_files(tmp_path / name)
        status(window, "judge", said)
        assert window.locator("#judged tr").count() == 0
    chooser.set_input_files(tmp_path / "my hand.png")
    status(window, "judge", "Judged 'my hand.png'.")
    assert window.locator("#judged tr").count() == 11
    assert fits(window)


def test_a_picture_can_be_dropped(open_page, tmp_path):
    window = open_page(DESK, "judge")
    hand = generate_hands(1, 128, seed=1).images[0].permute(1, 2, 0).numpy()
    Image.fromarray(hand).save(tmp_path / "hand.png")
    for held, said, rows in (
        (b"no picture", "'dropped.png' is not a picture in a format that is read", 0),
        ((tmp_path / "hand.png").read_bytes(), "Judged 'dropped.png'.", 11),
    ):
        window.locator("#drop").evaluate(
            """(drop, held) => {
                const dragged = new DataTransfer();
                dragged.items.add(new File([new Uint8Array(held)], "dropped.png"));
                drop.dispatchEvent(new DragEvent("drop", { dataTransfer: dragged, bubbles: true, cancelable: true }));
            }""",
            list(held),
        )
        status(window, "judge", said)
        assert window.locator("#judged tr").count() == rows
