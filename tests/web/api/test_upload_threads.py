from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from market.kit.errors import OverLimitError
from market.web.api.upload_threads import Held, UploadThreads


def run(test: Callable[[], Awaitable[None]]) -> None:
    anyio.run(test)


class Uploads:
    """Uploads that hold threads until they are told to end, or must give way."""

    def __init__(self, threads: UploadThreads, tasks: anyio.abc.TaskGroup) -> None:
        self._threads, self._tasks = threads, tasks
        self.held: dict[str, Held] = {}
        self.cut: list[str] = []

    async def begin(self, name: str, bytes_sent: int = 0) -> None:
        """Begin one of the member whose name stands before the dash; return when it has a thread."""
        self._tasks.start_soon(self._one, name, bytes_sent)
        with anyio.fail_after(20):
            while name not in self.held:
                await anyio.sleep(0.01)

    async def _one(self, name: str, bytes_sent: int) -> None:
        async with self._threads.one(name.split("-")[0]) as held:
            held.bytes = bytes_sent
            self.held[name] = held
            with anyio.CancelScope() as held.waits:
                await anyio.sleep_forever()
            try:
                held.check()
            except OverLimitError:
                self.cut.append(name)


def test_where_all_are_taken_the_newest_slow_one_of_who_has_most_gives_way() -> None:
    async def test() -> None:
        async with anyio.create_task_group() as tasks:
            uploads = Uploads(UploadThreads(5, slow_bytes_s=1000, after_s=0, look_s=0.02), tasks)
            for name in ("mallory-1", "mallory-2", "anna-1"):
                await uploads.begin(name)
            await uploads.begin("mallory-3")
            await uploads.begin("bert-1", bytes_sent=1 << 40)
            await uploads.begin("carl-1", bytes_sent=1 << 40)
            assert uploads.cut == ["mallory-3"]
            await uploads.begin("dora-1", bytes_sent=1 << 40)
            assert uploads.cut == ["mallory-3", "mallory-2"], "one for each that waits"
            tasks.cancel_scope.cancel()

    run(test)


def test_who_is_not_slow_is_waited_for() -> None:
    async def test() -> None:
        async with anyio.create_task_group() as tasks:
            uploads = Uploads(UploadThreads(1, slow_bytes_s=1000, after_s=0, look_s=0.02), tasks)
            await uploads.begin("anna-1", bytes_sent=1 << 40)
            tasks.start_soon(uploads.begin, "bert-1")
            await anyio.sleep(0.2)
            assert (uploads.cut, list(uploads.held)) == ([], ["anna-1"])
            waits = uploads.held["anna-1"].waits
            assert waits is not None
            waits.cancel()
            with anyio.fail_after(20):
                while "bert-1" not in uploads.held:
                    await anyio.sleep(0.01)
            assert uploads.cut == []
            tasks.cancel_scope.cancel()

    run(test)


def test_a_slow_one_stays_while_nobody_waits_and_an_early_one_in_any_case() -> None:
    async def test() -> None:
        async with anyio.create_task_group() as tasks:
            uploads = Uploads(UploadThreads(1, slow_bytes_s=1000, after_s=3600, look_s=0.02), tasks)
            await uploads.begin("anna-1")
            tasks.start_soon(uploads.begin, "bert-1")
            await anyio.sleep(0.2)
            assert uploads.cut == []
            tasks.cancel_scope.cancel()

    run(test)


def test_what_must_give_way_is_told_to_come_again_later() -> None:
    with pytest.raises(OverLimitError) as caught:
        Held("anna", 0.0, gives_way=True).check()
    assert caught.value.headers == {"Retry-After": "60"}
