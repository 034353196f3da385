"""Jobs in threads: results in the order of the jobs, and no more of them in memory than the workers need."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from joblib import Parallel, delayed

Result = TypeVar("Result")
JOBS_PER_WORKER = 4  # in a round; joblib alone would run far ahead of a slow consumer and keep every result


def in_order(function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], *, n_workers: int) -> Iterator[Result]:
    """Yield `function(*job)` of every job, in the order of the jobs.

    Parameters
    ----------
    function
        What it raises is raised here; the jobs of later rounds are then dropped.
    jobs
        The arguments of each; taken a round of JOBS_PER_WORKER * n_workers at a time, however slowly results are used.
    n_workers
        Threads: the work is in numpy, scipy, torch and soxr, which let other threads run.
    """
    remaining = iter(jobs)
    with Parallel(n_jobs=n_workers, prefer="threads", return_as="generator") as parallel:
        while batch := list(islice(remaining, JOBS_PER_WORKER * n_workers)):
            yield from parallel(delayed(function)(*job) for job in batch)
