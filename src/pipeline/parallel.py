"""Jobs in threads: results in the order of the jobs, and no more of them in memory than the workers need."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
JOBS_PER_WORKER = 4  # begun or waiting to be taken; a slow consumer holds the jobs up


def in_order(function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], *, n_workers: int) -> Iterator[Result]:
    """Yield `function(*job)` of every job, in the order of the jobs, while those after it are worked on.

    Parameters
    ----------
    function
        What it raises is raised here; jobs that have not begun are then dropped.
    jobs
        The arguments of each; taken at most JOBS_PER_WORKER * n_workers ahead, however slowly results are used.
    n_workers
        Threads: the work is in compiled kernels, numpy, libsndfile and soxr, which let other threads run. One is the
        caller's own. (joblib's threads were tried: they either run ahead of a slow consumer and keep every result, or
        have to be fed in rounds, at whose ends workers wait.)
    """
    if n_workers == 1:
        for job in jobs:
            yield function(*job)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(n_workers)
    try:
        for job in jobs:
            waiting.append(pool.submit(function, *job))
            if len(waiting) == JOBS_PER_WORKER * n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
