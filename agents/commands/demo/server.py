"""Serve the page: its files, a stream of events for each job, and single answers."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agents.commands.demo import draw_tab, move_tab, train_tab, watch_tab
from agents.commands.demo.jobs import Event, EventStream, Worker
from agents.commands.demo.judge_tab import judge_drawn, judge_file
from agents.commands.demo.move_tab import Walk
from agents.commands.demo.request_settings import read_form
from agents.commands.demo.weights import Weights

PAGE = Path(__file__).parent / "page"
LARGEST_FORM, LARGEST_FILE = 10_000, 20_000_000  # bytes
LOCAL = ["127.0.0.1", "localhost", "[::1]"]

Answer = Callable[[Request], Awaitable[Response]]


class Refused(ValueError):
    """A request that is not answered; the message says why."""

    def __init__(self, status: int, message: str) -> None:
        """Store the HTTP status beside the message."""
        super().__init__(message)
        self.status = status


def serve(listening: socket.socket, app: Starlette, grace: int) -> None:
    """Serve an application at a socket until Ctrl-C; then its jobs have `grace` seconds to end."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=grace, lifespan="on")
    _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Let open streams end before uvicorn waits for them: it prints a traceback for each that it must cancel."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.worker.stop()
        await super().shutdown(sockets)


def make_app(weights: Weights, host: str = "127.0.0.1") -> Starlette:
    """Build the application.

    Args:
        weights: What the page offers.
        host: The address that it is served at. A request for another host is refused, so that no foreign page can
            reach this one under a name of its own. An address for the whole network accepts all hosts.
    """
    tabs = Tabs(weights)
    routes = [
        Route("/api/choices", tabs.choices),
        *(Route(f"/api/{name}", answering(answer), methods=["POST"]) for name, answer in tabs.answers.items()),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    hosts = ["*"] if host in ("0.0.0.0", "::") else [*LOCAL, host]
    app = Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)], lifespan=tabs.lifespan
    )
    app.state.worker = tabs.worker
    return app


def answering(answer: Answer) -> Answer:
    """Refuse what another site's page sends, and turn wrong input into one sentence."""

    async def safe(request: Request) -> Response:
        origin = request.headers.get("origin")
        try:
            if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
                raise Refused(403, f"The page answers only itself, and this request comes from {origin!r:.80}.")
            return await answer(request)
        except ClientDisconnect:  # nobody reads the answer
            return Response(status_code=400)
        except Refused as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return safe


async def body(request: Request, most: int) -> bytes:
    """Read what a request brings.

    Raises:
        Refused: If it is more than `most` bytes; the rest is not read.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most:
            raise Refused(413, f"At most {most / 1e6:g} MB are read at once, and this is more. Make it smaller.")
    return b"".join(parts)


class Tabs:
    """Answer the tabs' requests."""

    def __init__(self, weights: Weights) -> None:
        """Name the answers by their paths."""
        self.weights, self.worker, self._walks = weights, Worker(), dict[str, Walk]()
        self.answers: dict[str, Answer] = {
            "draw": partial(self._stream, draw_tab.DrawSettings, self._draw),
            "between": partial(self._stream, move_tab.BetweenSettings, self._between),
            "watch": partial(self._stream, watch_tab.WatchSettings, self._watch),
            "train": partial(self._stream, train_tab.TrainSettings, train_tab.train),
            "move": self._move,
            "judge": self._judge,
        }

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Read the first weights before they are asked for, while the page opens."""
        warming = self.worker.thread.submit(self.weights.__getitem__, self.weights.names[0])
        yield
        warming.cancel()
        self.worker.close()

    async def choices(self, request: Request) -> Response:
        """Say what the forms offer."""
        return JSONResponse({"weights": self.weights.choices(), "largest": LARGEST_FILE})

    async def _stream(self, kind: type, job: Callable[[Any], EventStream], request: Request) -> Response:
        settings: Any = read_form(kind, await body(request, LARGEST_FORM))
        return StreamingResponse(_lines(self.worker, partial(job, settings)), media_type="application/x-ndjson")

    def _draw(self, settings: draw_tab.DrawSettings) -> EventStream:
        yield {"status": "Reading the weights and drawing."}
        yield from draw_tab.draw(self.weights[settings.weights], settings)

    def _between(self, settings: move_tab.BetweenSettings) -> EventStream:
        yield from move_tab.between(self._walk(settings.weights), settings)

    def _watch(self, settings: watch_tab.WatchSettings) -> EventStream:
        yield {"status": f"Looking for a wrong hand among {watch_tab.CANDIDATES}."}
        yield from watch_tab.watch(self.weights[settings.weights], settings)

    async def _move(self, request: Request) -> Response:
        settings = read_form(move_tab.MoveSettings, await body(request, LARGEST_FORM))

        def move() -> Event:
            return move_tab.move(self._walk(settings.weights), settings)

        return JSONResponse(await self.worker.call(move))

    async def _judge(self, request: Request) -> Response:
        """Judge the picture in the request's body; a header gives its name, or says that the page drew it."""
        content = await body(request, LARGEST_FILE)
        if request.headers.get("x-drawn") is not None:
            return JSONResponse(await self.worker.call(judge_drawn, content))
        name = unquote(request.headers.get("x-name", "the picture"))
        return JSONResponse(await self.worker.call(judge_file, name, content))

    def _walk(self, name: str) -> Walk:
        if name not in self._walks:
            self._walks[name] = Walk(self.weights[name])
        return self._walks[name]


async def _lines(worker: Worker, job: Callable[[], EventStream]) -> AsyncIterator[str]:
    """Write a job's events as JSON, one a line."""
    async with aclosing(worker.events(job)) as events:
        async for event in events:
            yield json.dumps(event) + "\n"
