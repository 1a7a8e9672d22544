import signal
import socket
import sys
import threading
import urllib.request
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agents.cli import main
from agents.commands.demo import DemoArgs, command, demo
from agents.commands.demo.command import is_loopback, open_socket, url
from agents.commands.demo.weights import Weights


def test_the_page_is_served_until_ctrl_c(narrow_run, capsys, monkeypatch):
    got = []

    def visit(address):
        got.append(urllib.request.urlopen(address).read())
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("webbrowser.open_new_tab", lambda address: threading.Timer(0.1, visit, [address]).start())
    assert demo(DemoArgs(narrow_run, port=0)) == "The page is closed."
    assert b"HandLatent" in got[0]
    said = capsys.readouterr().out
    assert said.startswith("Open http://127.0.0.1:")
    assert "network" not in said


def test_a_visitor_who_leaves_and_ctrl_c_during_a_job_print_nothing(narrow_run, capfd, monkeypatch):
    streams = []

    def visit(address):
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port)) as leaves:
            head = f"POST /api/judge HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 9999\r\n\r\n"
            leaves.sendall(head.encode() + b"part")
        streams.append(urllib.request.urlopen(address + "api/train", b"{}"))
        streams[0].readline()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("webbrowser.open_new_tab", lambda address: threading.Timer(0.1, visit, [address]).start())
    assert demo(DemoArgs(narrow_run, port=0)) == "The page is closed."
    assert b"The page is closed." in streams[0].read()
    streams[0].close()
    assert capfd.readouterr().err == ""


def test_a_page_that_is_open_to_the_network_says_so(narrow_run, capsys, monkeypatch):
    monkeypatch.setattr("agents.commands.demo.server.serve", lambda *_: None)
    demo(DemoArgs(narrow_run, host="0.0.0.0", port=0, browser=False))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("The page is open to the network: everybody who reaches 0.0.0.0 can use it")
    assert second.startswith("Open http://127.0.0.1:")


def test_no_browser_opens_none(narrow_run, monkeypatch):
    monkeypatch.setattr("agents.commands.demo.server.serve", lambda *_: None)
    monkeypatch.setattr("webbrowser.open_new_tab", lambda address: pytest.fail("opened"))
    demo(DemoArgs(narrow_run, port=0, browser=False))


def test_a_port_that_is_taken_is_said_in_one_sentence(narrow_run, capsys):
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", str(narrow_run), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"handlatent demo: --host '127.0.0.1' and --port {port} cannot be used (Address already in use)"
        ". Name another port, or 0 for any free one."
    )
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "--port must lie in 0..65535, got 70000."),
        (["--port", "0", "--host", "nowhere.invalid"], "--host 'nowhere.invalid' and --port 0 cannot be used ("),
        (["--port", "0", "--host", "x" * 5000], "). Name an address of this computer."),
        (["--port", "0", "--host", "\udcff"], "). Name an address of this computer."),
        (["--port", "0", "--host", "192.0.2.1"], "). Name an address of this computer."),
        (["--port", "0", "nothing-here"], "'nothing-here"),
    ],
)
def test_wrong_arguments_are_said_in_one_sentence(words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_without_the_extra_the_command_says_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "agents.commands.demo.server", raising=False)
    monkeypatch.delattr("agents.commands.demo.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(
        ImportError, match=r"The page needs the extra 'demo', and 'uvicorn' is not installed. Install it"
    ):
        command.import_server()


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("me", False)],
)
def test_a_loopback_address_reaches_this_computer_only(host, alone):
    assert is_loopback(host) is alone


def test_the_address_is_one_that_a_browser_takes():
    assert url("127.0.0.1", 80) == "http://127.0.0.1:80/"
    assert url("0.0.0.0", 80) == "http://127.0.0.1:80/"
    assert url("::", 80) == "http://[::1]:80/"


def test_a_folder_with_the_name_of_a_packaged_set_hides_none(monkeypatch, narrow_run, tmp_path):
    (tmp_path / "synthetic").symlink_to(narrow_run)
    monkeypatch.chdir(tmp_path)
    assert Weights(Path("synthetic")).names == ("./synthetic", "photographs", "synthetic")


def test_the_weights_named_first_are_offered_first():
    assert Weights(first="synthetic").names == ("synthetic", "photographs")
    with pytest.raises(ValueError, match="weights must be one of 'photographs', 'synthetic', got 'mine'"):
        Weights()["mine"]


def test_a_set_that_this_installation_lacks_is_not_offered(monkeypatch, narrow_run, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "photographs").symlink_to(resources.files("agents") / "weights" / "photographs")
    monkeypatch.setattr("agents.runs.packaged.resources.files", lambda package: tmp_path)
    assert Weights().names == ("photographs",)
    assert list(Weights(narrow_run).choices()) == [str(narrow_run), "photographs"]
    with pytest.raises(ValueError, match="weights must be one of 'photographs', got 'synthetic'"):
        Weights()["synthetic"]
    with pytest.raises(ValueError, match="This installation has no weights 'synthetic'; a clone of the repository has"):
        Weights(first="synthetic")
