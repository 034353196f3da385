"""Jobs in threads or processes: results in the order of the jobs, and no more of them in memory than workers need."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pipeline.errors import WorkerError

Result = TypeVar("Result")
JOBS_PER_WORKER = 4  # begun or waiting to be taken; a slow consumer holds the jobs up


def in_order(
    function: Callable[..., Result],
    jobs: Iterable[tuple[Any, ...]],
    *,
    n_workers: int,
    in_processes: bool = False,
    ahead: int = JOBS_PER_WORKER,
    name: Callable[..., str] | None = None,
) -> Generator[Result]:
    """Yield `function(*job)` of every job, in the order of the jobs, while those after it are worked on.

    Parameters
    ----------
    function
        What it raises is raised here; jobs that have not begun are then dropped.
    jobs
        The arguments of each; taken at most `ahead` * n_workers ahead, however slowly results are used.
    n_workers
        Threads: the work is in compiled kernels, numpy, libsndfile and soxr, which let other threads run. One is the
        caller's own. (joblib's threads were tried: they either run ahead of a slow consumer and keep every result, or
        have to be fed in rounds, at whose ends workers wait.)
    in_processes
        Processes of joblib instead, started anew when the first job is there (a fork would take locks of other threads
        along): for work that lets no other thread run. The function, the jobs and the results travel between them.
    ahead
        Fewer where jobs or results are large.
    name
        What to call a job, from its arguments, where a process that worked on it was killed.

    Raises
    ------
    WorkerError
        If a process was killed, naming the jobs that were worked on.
    """
    if n_workers == 1:
        for job in jobs:
            yield function(*job)
        return
    waiting: deque[tuple[str, Future[Result]]] = deque()
    pool: Executor | None = None
    try:
        for job in jobs:
            pool = pool or _pool(n_workers, in_processes=in_processes)
            waiting.append((name(*job) if name else "", pool.submit(function, *job)))
            if len(waiting) == ahead * n_workers:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool:
        begun = [called for called, future in waiting if not _is_done(future)][:n_workers]
        raise WorkerError(
            f"a worker process was killed (out of memory?) while {', '.join(begun)} {'were' if begun[1:] else 'was'} "
            "worked on: free memory, or lower machine.workers"
        ) from None
    finally:
        for _, future in waiting:
            future.cancel()
        if pool is not None:
            pool.shutdown()


def _is_done(future: Future[Any]) -> bool:
    return future.done() and not isinstance(future.exception(), BrokenProcessPool)


def _pool(n_workers: int, *, in_processes: bool) -> Executor:
    if in_processes:
        from joblib.externals.loky import ProcessPoolExecutor

        executor: Executor = ProcessPoolExecutor(n_workers, timeout=None)
        return executor
    return ThreadPoolExecutor(n_workers)
