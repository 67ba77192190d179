"""Executors of portions: processes of this machine, or a cluster of Dask; and the repetition of what was lost."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from unicorn_codec.concurrency import end_with_parent
from unicorn_codec.errors import InvalidSetting, PackageMissing, UnicornError, WorkerLost

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""Number of workers that a task may cost before packing stops."""

SUBMITTED = 256
"""Largest number of tasks that wait at an executor, which bounds the memory."""


class WorkerProcesses(Executor):
    """Processes of this machine, each with its share of the processor's cores.

    Unlike in a ``ProcessPoolExecutor``, a killed process costs only the task that it had: that one's future raises
    ``WorkerLost``, and a new process takes the next one.

    Args:
        workers: number of processes.
        threads: of each; None: the cores divided by the workers.
    """

    def __init__(self, workers: int, threads: int | None = None) -> None:
        self._threads = threads or max(1, torch.get_num_threads() // workers)
        self._pool = ThreadPoolExecutor(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._lock, self._stopped = threading.Lock(), False

    def submit(self, work: Callable[..., Result], /, *args: Any, **settings: Any) -> Future[Result]:
        """Run ``work`` in a process. It and its arguments are pickled."""
        return self._pool.submit(self._run, work, args, settings)

    def _run(self, work: Callable[..., Result], args: Any, settings: Any) -> Result:
        with self._lock:
            if self._stopped:
                raise WorkerLost("the workers were stopped")
            worker = self._idle.pop() if self._idle else _Worker(self._threads)
            self._all.add(worker)
        try:
            result: Result = worker.run(work, args, settings)
        except WorkerLost:
            with self._lock:
                self._all.discard(worker)
            raise
        except BaseException:
            with self._lock:
                self._idle.append(worker)
            raise
        with self._lock:
            self._idle.append(worker)
        return result

    @property
    def process_ids(self) -> list[int]:
        """Ids of the processes."""
        with self._lock:
            return [worker.process_id for worker in self._all]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, with ``cancel_futures`` at once: their tasks are lost then."""
        if not cancel_futures:
            self._pool.shutdown(wait=True)
        with self._lock:
            self._stopped = True
            workers = list(self._all)
        for worker in workers:
            worker.end()
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


class _Worker:
    """One process, which runs one function at a time."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of torch's threads
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, threads), daemon=True)
        self._process.start()
        other.close()

    @property
    def process_id(self) -> int:
        return self._process.pid or 0

    def run(self, work: Callable[..., Any], args: Any, settings: Any) -> Any:
        """Return what ``work`` returns in the process. Raises ``WorkerLost`` if the process ends."""
        try:
            self._connection.send((work, args, settings))
            is_result, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self.end()
            raise WorkerLost(_ending(self._process.exitcode)) from error
        if is_result:
            return value
        raise value

    def end(self) -> None:
        """Kill the process."""
        with suppress(OSError):
            self._connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, threads: int) -> None:
    """Run what comes through a connection, one by one, until it closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    while True:
        try:
            work, args, settings = connection.recv()
        except EOFError:
            return
        try:
            answer = True, work(*args, **settings)
        except Exception as error:  # noqa: BLE001  # the caller's, who gets it
            answer = False, error
        connection.send(answer)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"a worker was ended by signal {-code}" + (", perhaps for lack of memory" if code == -9 else "")
    return f"a worker ended with code {code}"


@contextmanager
def executor_of(workers: int | None, scheduler: str | None) -> Iterator[Executor]:
    """Give the executor that a user asked for: processes of this machine, or a Dask cluster.

    Raises ``PackageMissing`` and ``InvalidSetting`` as ``dask_executor``.
    """
    if scheduler is not None:
        with dask_executor(scheduler) as executor:
            yield executor
    else:
        with WorkerProcesses(workers or 1) as executor:
            yield executor


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Give the executor of a Dask cluster, whose workers must reach the same files under the same paths.

    Raises:
        PackageMissing: ``distributed`` is not installed.
        InvalidSetting: no scheduler answers at the address.
    """
    try:
        import distributed
    except ImportError as error:
        raise PackageMissing("a cluster needs the package distributed: pip install 'unicorn-codec[cluster]'") from error
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        yield client.get_executor(pure=False)


def run_all(executor: Executor, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
    """Yield number and result of each task, in the order in which they end. Tasks of lost workers are repeated.

    Raises:
        WorkerLost: a task cost ``ATTEMPTS`` workers.
        UnicornError: raised by a task; it is not repeated.
    """
    waiting, attempts = iter(range(len(tasks))), [0] * len(tasks)
    running: dict[Future[Result], int] = {}

    def submit(number: int) -> None:
        attempts[number] += 1
        running[executor.submit(work, tasks[number])] = number

    for number in islice(waiting, SUBMITTED):
        submit(number)
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            number = running.pop(future)
            error = future.exception()
            if error is None:
                yield number, future.result()
                if (following := next(waiting, None)) is not None:
                    submit(following)
            elif not is_lost(error):
                raise error
            elif attempts[number] == ATTEMPTS:
                raise WorkerLost(
                    f"{ATTEMPTS} workers ended at the same work ({error}): use --resume with fewer workers"
                ) from error
            else:
                submit(number)


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that the worker was lost, and not that its work failed."""
    if isinstance(error, UnicornError):
        return isinstance(error, WorkerLost)
    return isinstance(error, BrokenExecutor) or type(error).__name__ in ("KilledWorker", "FutureCancelledError")
