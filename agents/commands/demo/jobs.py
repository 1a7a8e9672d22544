"""Work for the page: one thread computes, one job at a time, and small requests slip in between a job's pieces."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

Event = dict[str, Any]
EventStream = Generator[Event, None, None]
Result = TypeVar("Result")

MOST_WAITING = 8  # jobs


class Worker:
    """Run jobs one after the other, in one thread: two on two cores would only slow each other down.

    A job is a generator. The thread computes it from one `yield` to the next, and in between what else is asked for, so
    that a slider moves while a VAE trains. A job that nobody listens to any longer ends at its next `yield`.
    """

    def __init__(self) -> None:
        """Start the thread when it is first needed."""
        self.thread = ThreadPoolExecutor(1, "demo")
        self._turn, self._stopped = asyncio.Lock(), asyncio.Event()
        self._waiting = 0

    def stop(self) -> None:
        """Let nobody wait any longer for what is computed, or for a turn. The event loop's thread calls it."""
        self._stopped.set()

    def close(self) -> None:
        """End the thread after the piece that it computes now; what waits is dropped."""
        self.thread.shutdown(wait=False, cancel_futures=True)

    async def call(self, work: Callable[..., Result], *args: Any) -> Result:
        """Compute something small in the thread.

        Raises:
            ValueError: If the page is closed before it is done.
        """
        done = asyncio.get_running_loop().run_in_executor(self.thread, work, *args)
        stopped = asyncio.ensure_future(self._stopped.wait())
        either: set[asyncio.Future[Any]] = {done, stopped}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise ValueError("The page is closed.")
            return await done
        finally:
            stopped.cancel()
            done.cancel()

    async def events(self, job: Callable[[], EventStream]) -> AsyncGenerator[Event, None]:
        """Run a job when it is its turn.

        Args:
            job: Starts the generator.

        Yields:
            {"waiting": jobs before it}, then what the job yields; last {"error": text} if its input is wrong.
        """
        if self._waiting >= MOST_WAITING:
            yield {"error": f"{MOST_WAITING} jobs are waiting, and no more may. Try again later."}
            return
        self._waiting += 1
        try:
            if self._turn.locked():
                yield {"waiting": self._waiting}
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        generator: EventStream | None = None
        try:
            generator = await self.call(job)
            while (event := await self.call(next, generator, None)) is not None:
                yield event
        except ValueError as error:
            yield {"error": str(error)}
        finally:
            if generator is not None:
                with suppress(RuntimeError):  # the thread has ended
                    self.thread.submit(generator.close)
            self._turn.release()
