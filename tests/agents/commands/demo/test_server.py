import http.client
import json
import re
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from agents.commands.demo import server, train_tab
from agents.commands.demo.server import LARGEST_FILE, LARGEST_FORM, PAGE, make_app

pytestmark = pytest.mark.usefixtures("bright")

MODULES = ["page", "draw", "move", "watch", "train", "judge", "hands", "job", "net", "plot"]


def ask(page, path, body=None, **headers):
    """Send a request; the status and the body of the answer."""
    request = urllib.request.Request(
        page + path, body, {name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def error(answer):
    return answer[0], json.loads(answer[1])["error"]


def test_the_page_and_its_parts_are_served(page):
    assert b"<title>HandLatent</title>" in ask(page, "/")[1]
    assert [ask(page, f"/{name}.js")[0] for name in MODULES] == [200] * len(MODULES)
    assert {path.stem for path in PAGE.glob("*.js")} == set(MODULES)


def test_nothing_of_the_page_comes_from_another_host():
    for path in PAGE.iterdir():
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org"}, path.name  # the name of SVG's language, which nobody fetches
    assert "default-src 'none'" in (PAGE / "index.html").read_text(encoding="utf-8")


def test_the_choices_are_the_weights_and_their_samplers(page, weights):
    offered = json.loads(ask(page, "/api/choices")[1])["weights"]
    assert list(offered) == [weights.names[0], "photographs", "synthetic"]
    assert offered[weights.names[0]] == ["mixture", "normal"]
    assert offered["photographs"] == ["rejection", "prior", "normal"]


def test_a_job_streams_lines_of_json(page, weights):
    status, lines = ask(page, "/api/draw", json.dumps({"weights": weights.names[0], "n": 5}).encode())
    events = [json.loads(line) for line in lines.splitlines()]
    assert status == 200
    assert sum(len(event.get("hands", [])) for event in events) == 5
    assert "summary" in events[-1]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/draw", b"{", "The settings must be JSON, and they are not. Reload the page."),
        ("/api/draw", b'{"weights": "x", "n": 0}', "n must be at least 1, got 0."),
        ("/api/between", b'{"weights": "x", "first": 0.5}', "first must be an integer, got 0.5."),
        ("/api/watch", b'{"weights": "x", "agent": "me"}', "agent must be one of 'sac', 'random', got 'me'."),
        ("/api/train", b'{"images": 5}', "images must be at least 32, got 5."),
        ("/api/move", b'{"weights": "x", "shifts": [9]}', "shifts must lie in [-3, 3], got 9."),
        ("/api/judge", b"no picture", "'the picture' is not a picture in a format that is read ("),
    ],
)
def test_wrong_input_gets_one_sentence(page, path, body, message):
    status, said = error(ask(page, path, body))
    assert status == 400
    assert said.startswith(message)
    assert "\n" not in said


def test_weights_that_are_not_offered_are_refused_in_the_stream(page):
    for path in ("/api/draw", "/api/watch", "/api/between"):
        status, lines = ask(page, path, b'{"weights": "../../etc"}')
        assert status == 200
        assert "weights must be one of" in json.loads(lines.splitlines()[-1])["error"]
    assert "weights must be one of" in error(ask(page, "/api/move", b'{"weights": "nobody"}'))[1]


def test_too_much_is_not_read(page, monkeypatch):
    assert error(ask(page, "/api/draw", b" " * (LARGEST_FORM + 1)))[0] == 413
    monkeypatch.setattr(server, "LARGEST_FILE", 1000)
    status, said = error(ask(page, "/api/judge", bytes(2000)))
    assert status == 413
    assert said == "At most 0.001 MB are read at once, and this is more. Make it smaller."
    assert LARGEST_FILE < 2**25


def test_another_site_s_page_is_refused(page):
    assert error(ask(page, "/api/train", b"{}", Origin="http://example.org"))[0] == 403
    assert ask(page, "/", Host="example.org")[0] == 400
    assert ask(page, "/", Host="localhost")[0] == 200


def test_on_a_network_the_page_is_reached_by_any_name(weights):
    def hosts(host):
        return make_app(weights, host).user_middleware[0].kwargs["allowed_hosts"]

    assert hosts("0.0.0.0") == ["*"]
    assert hosts("192.168.0.7") == [*server.LOCAL, "192.168.0.7"]


@pytest.mark.parametrize("path", ["/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/nothing.js"])
def test_no_other_file_is_served(page, path):
    connection = http.client.HTTPConnection(urlsplit(page).netloc)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_a_listener_who_leaves_ends_the_job(page, weights, monkeypatch):
    ended, end_epoch = [], train_tab.Side.end_epoch

    def noted(side):
        ended.append(side)
        return end_epoch(side)

    monkeypatch.setattr(train_tab.Side, "end_epoch", noted)
    where = urlsplit(page)
    body = b'{"images": 2000, "epochs": 60, "size": 64}'  # many minutes
    head = f"POST /api/train HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection((where.hostname, where.port)) as listener:
        listener.sendall(head + body)
        assert listener.recv(1000).startswith(b"HTTP/1.1 200")
    status, lines = ask(page, "/api/draw", json.dumps({"weights": weights.names[0], "n": 1}).encode())
    assert status == 200
    assert b"summary" in lines
    assert len(ended) < 60  # of 120, and the job that drew came next
