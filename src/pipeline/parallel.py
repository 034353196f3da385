"""Jobs in threads: results in the order of the jobs, and no more of them in memory than the workers need."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
JOBS_PER_WORKER = 2  # under way or done and not yet taken


def in_order(function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], *, n_workers: int) -> Iterator[Result]:
    """Yield `function(*job)` of every job, in the order of the jobs.

    Parameters
    ----------
    function
        What it raises is raised here; the jobs that have not begun are then dropped.
    jobs
        The arguments of each; taken only as far ahead as JOBS_PER_WORKER says, however slowly results are used.
    n_workers
        Threads; with 1 everything runs in the caller's.
    """
    if n_workers == 1:
        yield from (function(*job) for job in jobs)
        return
    pool = ThreadPoolExecutor(n_workers)
    under_way: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            under_way.append(pool.submit(function, *job))
            if len(under_way) == JOBS_PER_WORKER * n_workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
