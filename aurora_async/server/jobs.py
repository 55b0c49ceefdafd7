"""Work off the event loop: a thread for the first small jobs, processes for everything when there is more.

A task is done by whoever is free, in a worker process where there is one: threads of this process would share its
interpreter lock with the loop, which then waits for the lock after every read and write of a socket. Processes are
started when work piles up (or a large task comes), never before; until one is up, a thread does the small tasks.
They are plain `python -m aurora_async.server._worker`, told over pipes what to do, so they inherit no sockets, need no
`if __name__ == "__main__"` in the user's script, and end when this process does, however it ends.

Small tasks travel in batches. Owners take turns, so that one with ten thousand searches delays another's by one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import struct
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from aurora_async.errors import AuroraError
from aurora_async.server.days import DayCache

__all__ = ["Context", "Job", "Jobs", "QueueFull", "Task", "TaskCancelled", "TaskFailed"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 32
"""Small tasks that one hop to a worker carries."""
PILED_UP = 8
"""Small tasks waiting at which a process is worth its start (a third of a second of one core)."""
WORTH_ANOTHER = 2000
"""Small tasks waiting for each process: a second of work, so one more would hardly be up before they are done."""
SHOW_LOGS_AFTER_S = 0.2
"""A task that takes longer has its log lines passed on while it runs; those of a shorter one come with its result."""

_WORKER_ENVIRONMENT = {
    # There is a process for each core: threads of a linear algebra library would only wait for one another.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # Arrays of some hundred kilobytes come and go by the thousand: to have the kernel hand out their memory anew each
    # time takes as long as filling them, so glibc is told to keep it.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
}

_HEADER = struct.Struct("!I")


class TaskCancelled(Exception):
    """The task was told to stop, and did."""


class TaskFailed(AuroraError):
    """A task raised, or its worker died; the text is the reason."""


class QueueFull(AuroraError):
    """More tasks wait than the service is willing to keep."""


class Context:
    """What a task may use while it runs: the days already computed, its log, and whether it is still wanted."""

    def __init__(self, days: DayCache, report: Callable[[str, str], None], cancelled: Callable[[], bool]) -> None:
        self.days = days
        self.report = report
        """Add a line to the task's log: level and text."""
        self._cancelled = cancelled

    def checkpoint(self) -> None:
        """Stop here if the task was cancelled: call it a few times a second."""
        if self._cancelled():
            raise TaskCancelled


@runtime_checkable
class Task(Protocol):
    """Something to be done off the loop; it and what it returns can be pickled."""

    def perform(self, context: Context) -> Any:
        """Do it. Blocks."""


Report = Callable[[float, str, str], None]
"""What is told of a log line: seconds since 1970, level, text."""


class Job(Generic[T]):
    """A task on its way: `result` ends with what it returned, `TaskFailed` or `TaskCancelled`."""

    def __init__(
        self,
        number: int,
        task: Task,
        owner: str,
        on_report: Report | None = None,
        on_wasted: Callable[[], object] | None = None,
    ) -> None:
        self.number = number
        self.task = task
        self.owner = owner
        self.on_report = on_report
        self.on_wasted = on_wasted
        self.is_cancelled = False
        self.attempts = 0
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # A job whose end nobody awaits (its search was deleted) is not a mistake of the program.
        self.result.add_done_callback(lambda done: None if done.cancelled() else done.exception())


class _FairQueue:
    """Jobs by owner; owners take turns."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[Job[Any]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, job: Job[Any]) -> None:
        self._by_owner.setdefault(job.owner, deque()).append(job)
        self._count += 1

    def take(self, most: int) -> list[Job[Any]]:
        """Take up to `most` jobs that are still wanted."""
        taken: list[Job[Any]] = []
        while self._by_owner and len(taken) < most:
            owner, jobs = self._by_owner.popitem(last=False)
            job = jobs.popleft()
            self._count -= 1
            if jobs:
                self._by_owner[owner] = jobs
            if not job.is_cancelled:
                taken.append(job)
        return taken

    def drain(self) -> Iterator[Job[Any]]:
        while self:
            yield from self.take(1)


def perform(
    tasks: Sequence[tuple[int, Task]],
    days: DayCache,
    tell: Callable[[Sequence[Message]], None],
    cancelled: Callable[[int], bool],
) -> None:
    """Do tasks one after another, here; what happens is told in bunches. Used by threads and by worker processes."""
    told: list[Message] = []
    last = time.monotonic()

    def say(*messages: Message) -> None:
        nonlocal last
        told.extend(messages)
        if time.monotonic() - last > SHOW_LOGS_AFTER_S:
            tell(tuple(told))
            told.clear()
            last = time.monotonic()

    for number, task in tasks:

        def report(level: str, text: str, number: int = number) -> None:
            say(("log", number, (time.time(), level, text)))

        context = Context(days, report, lambda number=number: cancelled(number))  # type: ignore[misc]
        try:
            context.checkpoint()
            outcome: Message = ("done", number, task.perform(context))
        except TaskCancelled:
            outcome = ("cancelled", number, None)
        except Exception as error:  # whatever it is, it ends this task and no other
            logger.debug("task %d failed", number, exc_info=True)
            outcome = ("failed", number, str(error) or type(error).__name__)
        say(outcome)
    if told:
        tell(tuple(told))


Message = tuple[str, int, Any]


class Jobs:
    """Runs tasks: an async context manager, whose end stops everything that runs.

    Args:
        days_folder: Where computed days are kept.
        workers: Processes at most; 0 does everything in threads of this one.
        most_waiting: Jobs in the queue, above which new ones are refused.
    """

    def __init__(self, days_folder: Path, *, workers: int, most_waiting: int) -> None:
        self._days_folder = days_folder
        self._most_processes = workers
        self._most_waiting = most_waiting
        self._small = _FairQueue()
        self._large = _FairQueue()
        self._running: dict[int, Job[Any]] = {}
        self._numbers = itertools.count(1)
        self._processes: list[_Process] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads_busy = 0
        self._dispatching = False
        self._closing = False

    async def __aenter__(self) -> Jobs:
        self._loop = asyncio.get_running_loop()
        self._days = DayCache(self._days_folder)
        # One thread for small tasks; a second one for large ones where there are no processes.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._large_thread = ThreadPoolExecutor(1, thread_name_prefix="large jobs")
        self._busy_threads: set[ThreadPoolExecutor] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        for job in (*self._small.drain(), *self._large.drain(), *self._running.values()):
            self._cancel(job)
        for process in self._processes:
            process.kill()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        # A thread is at its next checkpoint within a fraction of a second.
        await asyncio.to_thread(self._thread.shutdown)
        await asyncio.to_thread(self._large_thread.shutdown)

    def check_room(self, coming: int = 0) -> None:
        """Refuse what would have to wait behind too many others, before anybody relies on it.

        Args:
            coming: Jobs that have been let in and are not in the queue yet.

        Raises:
            QueueFull: Too many are waiting.
        """
        if len(self._small) + len(self._large) + coming >= self._most_waiting:
            raise QueueFull(f"{self._most_waiting} searches are waiting already; try again later")

    def submit(
        self,
        task: Task,
        *,
        owner: str,
        small: bool,
        on_report: Report | None = None,
        on_wasted: Callable[[], object] | None = None,
    ) -> Job[Any]:
        """Queue a task.

        Args:
            task: What is to be done.
            owner: Whose turn it takes.
            small: It takes milliseconds, and does not wait for large ones.
            on_report: Called with each line of its log.
            on_wasted: Called when it was done although it had been cancelled, to remove what it left.
        """
        job: Job[Any] = Job(next(self._numbers), task, owner, on_report, on_wasted)
        (self._small if small else self._large).put(job)
        self._dispatch_soon()
        return job

    def cancel(self, job: Job[Any]) -> None:
        """Stop a job, waiting or running; no harm when it has ended."""
        self._cancel(job)
        for process in self._processes:
            process.cancel(job.number)

    def _cancel(self, job: Job[Any]) -> None:
        job.is_cancelled = True
        if not job.result.done():
            job.result.set_exception(TaskCancelled())

    # Who does what -------------------------------------------------------------------------------------------------

    def _dispatch_soon(self) -> None:
        # Jobs that arrive in one turn of the loop leave in one batch.
        if not self._dispatching and not self._closing:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = False
        if self._closing:
            return
        self._start_processes()
        idle = [process for process in self._processes if process.is_idle]
        for index, process in enumerate(idle):
            # Small ones first; what is left over for the other processes is their fair share.
            share = -(-len(self._small) // (len(idle) - index))
            small = self._small.take(min(share, BATCH))
            if jobs := small or self._large.take(1):
                self._track(jobs)
                process.send(jobs, small=bool(small))
        if len(self._small) and self._thread not in self._busy_threads and not self._soon_idle():
            self._run_in(self._thread, self._small.take(1))
        if len(self._large) and not self._most_processes and self._large_thread not in self._busy_threads:
            self._run_in(self._large_thread, self._large.take(1))

    def _soon_idle(self) -> bool:
        """True when a process is up and busy with small tasks only: it will be back in milliseconds."""
        return any(process.has_small_tasks for process in self._processes)

    def _start_processes(self) -> None:
        for_small = -(-len(self._small) // WORTH_ANOTHER) if len(self._small) >= PILED_UP else 0
        coming = sum(not process.is_up or process.is_idle or process.has_small_tasks for process in self._processes)
        wanted = len(self._large) + for_small - coming
        for _ in range(min(wanted, self._most_processes - len(self._processes))):
            process = _Process(self)
            self._processes.append(process)
            # Not in a task group: it ends with the process, and `__aexit__` ends that.
            task = self._loop.create_task(process.run(), name="worker process")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _track(self, jobs: Sequence[Job[Any]]) -> None:
        for job in jobs:
            job.attempts += 1
            self._running[job.number] = job

    def _run_in(self, executor: ThreadPoolExecutor, jobs: list[Job[Any]]) -> None:
        if not jobs:
            return
        self._track(jobs)
        self._busy_threads.add(executor)
        by_number = {job.number: job for job in jobs}

        def tell(messages: Sequence[Message]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens
                self._loop.call_soon_threadsafe(self.told, messages)

        def work() -> None:
            tasks = [(job.number, job.task) for job in jobs]
            perform(tasks, self._days, tell, lambda number: by_number[number].is_cancelled)

        def free(_: object) -> None:
            self._busy_threads.discard(executor)
            self._dispatch_soon()

        asyncio.wrap_future(executor.submit(work)).add_done_callback(free)

    def told(self, messages: Sequence[Message]) -> None:
        """Take in what a thread or process says about its tasks."""
        for what, number, value in messages:
            job = self._running.get(number)
            if job is None:
                continue
            if what == "log":
                if job.on_report is not None and not job.is_cancelled:
                    job.on_report(*value)
                continue
            del self._running[number]
            if job.result.done():
                if what == "done" and job.on_wasted is not None:
                    job.on_wasted()
                continue
            if what == "done":
                job.result.set_result(value)
            elif what == "cancelled":
                job.result.set_exception(TaskCancelled())
            else:
                job.result.set_exception(TaskFailed(value))

    def lost(self, process: _Process, numbers: Sequence[int], started: bool) -> None:
        """A worker process is gone; what it was doing is not."""
        self._processes.remove(process)
        for number in numbers:
            job = self._running[number]
            if job.attempts > 1 or self._closing:
                self.told([("failed", number, "the worker process ended in the middle of it")])
            else:  # once more: it need not have been this task that the process died of
                del self._running[number]
                self._large.put(job)
        if not started and not self._closing:
            # Processes cannot be started here (no fork, no memory): threads do it all from now on.
            logger.warning("worker processes cannot be started; searches run in threads")
            self._most_processes = 0
        self._dispatch_soon()

    @property
    def days_folder(self) -> Path:
        """Where computed days are kept."""
        return self._days_folder

    def went_idle(self) -> None:
        """A worker process has nothing more to do."""
        self._dispatch_soon()


class _Process:
    """One worker process: frames of pickled messages down its stdin, up its stdout."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._numbers: set[int] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._does_small = False
        self.is_up = False

    @property
    def is_idle(self) -> bool:
        return self.is_up and not self._numbers

    @property
    def has_small_tasks(self) -> bool:
        return bool(self._numbers) and self._does_small

    async def run(self) -> None:
        """Start it, and listen until it ends."""
        try:
            # This very package, also where it is not installed but merely on this process's path.
            package_root = str(Path(__file__).parents[2])
            path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "aurora_async.server._worker", str(self._jobs.days_folder),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={**_WORKER_ENVIRONMENT, **os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the service, which ends its workers itself
            )  # fmt: skip
            assert self._process.stdout is not None
            while (messages := await read_frame(self._process.stdout)) is not None:
                self._heard(messages)
        except OSError as error:
            logger.warning("a worker process could not be started: %s", error)
        finally:
            was_up, self.is_up = self.is_up, False
            self._jobs.lost(self, tuple(self._numbers), was_up)
            if self._process is not None:
                self.kill()
                await asyncio.shield(self._process.wait())

    def _heard(self, messages: Sequence[Message]) -> None:
        self.is_up = True
        for what, number, _ in messages:
            if what != "log":
                self._numbers.discard(number)
        self._jobs.told(messages)
        if not self._numbers:
            self._jobs.went_idle()

    def send(self, jobs: Sequence[Job[Any]], *, small: bool) -> None:
        """Give it tasks; what it says about them comes to `Jobs.told`."""
        self._does_small = small
        self._numbers.update(job.number for job in jobs)
        self._write(("do", [(job.number, job.task) for job in jobs]))

    def cancel(self, number: int) -> None:
        if number in self._numbers:
            self._write(("cancel", number))

    def _write(self, message: object) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            # Unbounded only in name: a process is sent one batch, and the next one when that is done.
            self._process.stdin.write(frame(message))

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()


def frame(message: object) -> bytes:
    """Write a message as it goes through a pipe: its length, then the pickle."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body)) + body


async def read_frame(stream: asyncio.StreamReader) -> Any:
    """Read one message; None at the end of the stream, also in the middle of one."""
    try:
        (length,) = _HEADER.unpack(await stream.readexactly(_HEADER.size))
        return pickle.loads(await stream.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


def frame_length(header: bytes) -> int:
    """Return how many bytes follow a frame's header."""
    (length,) = _HEADER.unpack(header)
    return int(length)


HEADER_BYTES = _HEADER.size
