"""A hub on 127.0.0.1 that speaks the few calls that handlatent makes; files travel in the commit, as small ones do."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub import ModelCard


def read_card(text):
    """Read a card as huggingface_hub does, which annotates nothing of what is in it."""
    return ModelCard(text)


class Hub:
    """Repositories in memory: name -> {"private": bool, "commits": [{path: bytes}]}; the last commit is main's."""

    def __init__(self):
        self.empty()

    def empty(self):
        self.repositories, self.requests, self.status = {}, [], None  # a status is the answer to whatever is asked

    def put(self, name, files, private=False):
        self.repositories.setdefault(name, {"private": private, "commits": []})["commits"].append(files)
        return sha(len(self.repositories[name]["commits"]) - 1)

    def files(self, name):
        return self.repositories[name]["commits"][-1]

    def answer(self, method, path, body, may_see):
        """Return status, headers and body."""
        for pattern, handler in ROUTES.items():
            if match := re.fullmatch(pattern, f"{method} {path.partition('?')[0]}"):
                return handler(self, body, may_see, **match.groupdict())
        return 404, {}, b"no such call"

    def at(self, name, revision):
        """Return the number of a commit, or None."""
        number = len(self.repositories[name]["commits"])
        known = {"main": number - 1, **{sha(each): each for each in range(number)}}
        return known.get(revision)


def sha(number):
    return f"{number:040x}"


def as_json(value, status=200):
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def refused(status, code, message):
    return status, {"X-Error-Code": code, "X-Error-Message": message}, b""


def found(handler):
    """Let a handler see the commit that a request names."""

    def handle(hub, body, may_see, name, revision="main", **more):
        repository = hub.repositories.get(name)
        if repository is None or (repository["private"] and not may_see):
            return refused(404, "RepoNotFound", "Repository not found")
        number = hub.at(name, revision)
        if number is None and repository["commits"]:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return handler(hub, body, name, number, **more)

    return handle


@found
def info(hub, body, name, number):
    there = number is not None and number >= 0
    files = hub.repositories[name]["commits"][number] if there else {}
    siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
    commit, private = sha(number) if there else None, hub.repositories[name]["private"]
    return as_json({"id": name, "sha": commit, "private": private, "siblings": siblings})


@found
def tree(hub, body, name, number):
    files = hub.repositories[name]["commits"][number]
    return as_json(
        [{"type": "file", "path": path, "size": len(data), "oid": oid(data)} for path, data in files.items()]
    )


@found
def resolve(hub, body, name, number, path):
    data = hub.repositories[name]["commits"][number].get(path)
    if data is None:
        return refused(404, "EntryNotFound", "Entry not found")
    return 200, {"ETag": f'"{oid(data)}"', "X-Repo-Commit": sha(number)}, data


def create(hub, body, may_see):
    asked = json.loads(body)
    name = f"{asked['organization']}/{asked['name']}"
    if name in hub.repositories:
        return as_json({"url": name}, 409)
    hub.repositories[name] = {"private": asked.get("visibility") == "private", "commits": []}
    return as_json({"url": f"http://127.0.0.1/{name}"})


def validate(hub, body, may_see):
    fine = "license:" in json.loads(body)["content"]
    return as_json({"errors": [] if fine else [{"message": "no licence"}], "warnings": []}, 200 if fine else 400)


@found
def preupload(hub, body, name, number):
    paths = [file["path"] for file in json.loads(body)["files"]]
    return as_json({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})


@found
def commit(hub, body, name, number):
    lines = [json.loads(line) for line in body.splitlines()]
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
    }
    before = hub.files(name) if hub.repositories[name]["commits"] else {}
    made = hub.put(name, {**before, **sent})
    return as_json({"commitUrl": f"http://127.0.0.1/{name}/commit/{made}", "commitOid": made})


def oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = {
    rf"GET /api/models/{NAME}(/revision/(?P<revision>[^/]+))?": lambda hub, body, may_see, name, revision: info(
        hub, body, may_see, name, revision or "main"
    ),
    rf"GET /api/models/{NAME}/tree/(?P<revision>[^/]+)": tree,
    rf"(HEAD|GET) /{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": resolve,
    r"POST /api/repos/create": create,
    r"POST /api/validate-yaml": validate,
    rf"POST /api/models/{NAME}/preupload/(?P<revision>[^/]+)": preupload,
    rf"POST /api/models/{NAME}/commit/(?P<revision>[^/]+)": commit,
}


@contextmanager
def serving(hub, token):
    """Serve a hub in a thread; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hub.requests.append(f"{self.command} {self.path}")
            may_see = self.headers.get("Authorization") == f"Bearer {token}"
            if hub.status is not None:
                status, headers, data = refused(hub.status, "", "as the test wants it")
            elif self.command == "POST" and not may_see:
                status, headers, data = refused(401, "", "Invalid username or password.")
            else:
                status, headers, data = hub.answer(self.command, self.path, body, may_see)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = handle_any

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
