import os
import shutil
import threading
from contextlib import contextmanager

import pytest
import uvicorn

from agents.commands.demo.command import open_socket
from agents.commands.demo.server import make_app
from agents.commands.demo.weights import Weights
from agents.runs.run import load_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def weights(refined_run, with_real_channels):
    """A run with a refiner, offered before the packaged weights, which nobody reads before they are asked for."""
    with with_real_channels():
        return Weights(refined_run)


@pytest.fixture(scope="module")
def run(weights):
    return weights[weights.names[0]]


@pytest.fixture(scope="module")
def bare_run(narrow_run):
    """A run on which no agent acts."""
    return load_run(narrow_run)


@contextmanager
def served(app):
    """Serve an application in a thread; its address."""
    with open_socket("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def page(weights):
    """The page's address; its server runs in a thread, with the models of this process."""
    with served(make_app(weights)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    """The system's browser. Elsewhere than in CI, the tests are skipped without one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = f"no browser was found, of {', '.join(BROWSERS)}. Install one with: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, page):
    """A function that opens the page in a window of a size. No request may leave the machine, no script may fail."""
    opened, wrong = [], []

    def open_in(viewport, tab=None):
        context = chromium.new_context(viewport=viewport)
        context.set_default_timeout(600_000)  # milliseconds, for a busy machine
        window = context.new_page()
        window.on("request", lambda sent: wrong.append(sent.url) if not sent.url.startswith((page, "data:")) else None)
        window.on("pageerror", lambda error: wrong.append(str(error)))
        window.on("console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None)
        window.goto(f"{page}/#{tab}" if tab else page)
        window.wait_for_selector("body[data-ready]")
        opened.append(context)
        return window

    yield open_in
    for context in opened:
        context.close()
    assert wrong == []


@pytest.fixture
def small_training(monkeypatch):
    """Fewer hands to judge; the page asks for as many as it likes."""
    monkeypatch.setattr("agents.rl.schedule_actor.N_DRAWN", 4)
    monkeypatch.setattr("agents.commands.demo.train_tab.SHOWN", 4)
