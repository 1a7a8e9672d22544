import threading
from contextlib import contextmanager

import pytest
import uvicorn

from agents.commands.demo.command import open_socket
from agents.commands.demo.server import make_app
from agents.commands.demo.weights import Weights
from agents.runs.run import load_run


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
