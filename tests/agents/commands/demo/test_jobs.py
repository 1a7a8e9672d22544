import asyncio
import threading
from contextlib import aclosing

import pytest

from agents.commands.demo.jobs import MOST_WAITING, Worker


def counting(n, seen=None):
    def job():
        try:
            for number in range(n):
                yield {"number": number}
        finally:
            if seen is not None:
                seen.append(threading.current_thread().name)

    return job


async def listen(worker, job):
    return [event async for event in worker.events(job)]


def run(main):
    """Run a coroutine with a worker."""

    async def whole():
        worker = Worker()
        try:
            return await asyncio.wait_for(main(worker), 600)
        finally:
            worker.thread.shutdown()

    return asyncio.run(whole())


def test_a_job_s_events_come_in_order():
    assert run(lambda worker: listen(worker, counting(3))) == [{"number": number} for number in range(3)]


def test_a_stop_ends_the_running_job_and_those_that_wait():
    holds = threading.Event()

    def job():
        yield {"number": 0}
        holds.wait()
        yield {"number": 1}

    async def main(worker):
        streams = [asyncio.ensure_future(listen(worker, job)) for _ in range(2)]
        await asyncio.sleep(0.1)
        try:
            worker.stop()
            return await asyncio.gather(*streams)
        finally:
            holds.set()

    closed = {"error": "The page is closed."}
    assert run(main) == [[{"number": 0}, closed], [{"waiting": 1}, closed]]


def test_one_job_runs_at_a_time_and_the_next_is_told_to_wait():
    order = []

    def job(name):
        def numbered():
            for number in range(3):
                order.append((name, number))
                yield {"number": number}

        return numbered

    async def main(worker):
        return await asyncio.gather(*(listen(worker, job(name)) for name in "abc"))

    first, second, third = run(main)
    assert order == [(name, number) for name in "abc" for number in range(3)]
    assert "waiting" not in first[0]
    assert second[0] == {"waiting": 1}
    assert third[0] == {"waiting": 2}


def test_a_small_request_slips_in_between_a_job_s_pieces():
    async def main(worker):
        seen = []
        async with aclosing(worker.events(counting(1000))) as events:
            async for event in events:
                if event["number"] == 2:
                    seen.append(await worker.call(threading.current_thread))
                    break
        return seen

    assert run(main)[0].name.startswith("demo")


def test_all_is_computed_in_one_thread():
    async def main(worker):
        return await asyncio.gather(*(worker.call(threading.get_ident) for _ in range(20)))

    assert len(set(run(main))) == 1


def test_a_job_that_nobody_listens_to_ends_and_the_next_begins():
    closed: list[str] = []

    async def main(worker):
        async with aclosing(worker.events(counting(10**9, closed))) as events:
            await anext(events)
        return await listen(worker, counting(1))

    assert run(main) == [{"number": 0}]
    assert closed == ["demo_0"]  # where it ran, and not in the middle of a piece


def test_wrong_input_is_an_event_and_a_fault_of_ours_is_not():
    def wrong():
        yield {"number": 0}
        raise ValueError("seed must be at least 0.")

    def faulty():
        yield {"number": 0}
        raise KeyError("ours")

    assert run(lambda worker: listen(worker, wrong))[-1] == {"error": "seed must be at least 0."}
    with pytest.raises(KeyError):
        run(lambda worker: listen(worker, faulty))


def test_no_more_than_a_few_jobs_wait():
    async def main(worker):
        release = threading.Event()

        def holding():
            release.wait(20)
            yield {}

        jobs = [asyncio.create_task(listen(worker, holding)) for _ in range(MOST_WAITING + 1)]
        await asyncio.sleep(0.05)
        refused = await listen(worker, counting(1))
        release.set()
        return refused, await asyncio.gather(*jobs)

    refused, others = run(main)
    assert refused == [{"error": f"{MOST_WAITING} jobs are waiting, and no more may. Try again later."}]
    assert len(others) == MOST_WAITING + 1
