"""Jobs in threads give what a plain loop gives, and stay few."""

import os
import re
import threading
import time

import pytest

from pipeline.errors import WorkerError
from pipeline.parallel import JOBS_PER_WORKER, in_order


@pytest.mark.parametrize("n_workers", [1, 2, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_results_come_in_the_order_of_the_jobs(n, n_workers):
    def late_first(i, of):
        time.sleep(0.002 * (of - i))
        return i * i

    assert list(in_order(late_first, ((i, n) for i in range(n)), n_workers=n_workers)) == [i * i for i in range(n)]


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_a_slow_consumer_holds_the_jobs_up(n_workers):
    begun = []
    taken = 0
    results = in_order(lambda i: begun.append(i), ((i,) for i in range(100)), n_workers=n_workers)
    for _ in results:
        taken += 1
        time.sleep(0.001)
        assert len(begun) <= taken + JOBS_PER_WORKER * n_workers
    assert sorted(begun) == list(range(100))


def test_two_workers_work_at_the_same_time():
    both = threading.Barrier(2, timeout=10)  # breaks if they do not meet
    assert sorted(in_order(lambda _: both.wait(), [(0,), (1,)], n_workers=2)) == [0, 1]


def test_one_worker_is_the_caller():
    assert list(in_order(threading.get_ident, [()], n_workers=1)) == [threading.get_ident()]
    assert list(in_order(os.getpid, [()], n_workers=1, in_processes=True)) == [os.getpid()]


def test_processes_are_others_and_their_results_in_order():
    assert os.getpid() not in in_order(os.getpid, [()] * 3, n_workers=2, in_processes=True)
    jobs = [(text,) for text in ("b", "a", "c")]
    assert list(in_order(str.upper, jobs, n_workers=2, in_processes=True)) == ["B", "A", "C"]
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_order(int, [("1",), ("one",)], n_workers=2, in_processes=True))


def test_no_process_is_started_for_no_job(monkeypatch):
    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", None)  # cannot be called
    assert list(in_order(str.upper, [], n_workers=2, in_processes=True)) == []


@pytest.mark.parametrize("ahead", [1, 3])
def test_fewer_jobs_are_taken_ahead_where_asked_for(ahead):
    taken = []
    jobs = ((taken.append(i) or i,) for i in range(50))
    for n_done, _ in enumerate(in_order(abs, jobs, n_workers=2, ahead=ahead)):
        assert len(taken) <= n_done + 2 * ahead


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_error_of_a_job_is_raised_and_what_is_far_behind_it_never_begins(n_workers):
    begun = []

    def fail_at_three(i):
        begun.append(i)
        if i == 3:
            raise LookupError("three")
        return i

    results = in_order(fail_at_three, ((i,) for i in range(100)), n_workers=n_workers)
    with pytest.raises(LookupError, match="three"):
        list(results)
    assert max(begun) <= 3 + JOBS_PER_WORKER * n_workers


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_error_while_jobs_are_prepared_is_raised(n_workers):
    def jobs():
        yield (1,)
        raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"):
        list(in_order(str, jobs(), n_workers=n_workers))


def test_no_thread_outlives_a_consumer_that_leaves():
    before = set(threading.enumerate())
    results = in_order(str, ((i,) for i in range(100)), n_workers=2)
    next(results)
    results.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_a_killed_worker_names_what_was_worked_on():
    waits, dies = "__import__('time').sleep(0.05)", "__import__('os').kill(__import__('os').getpid(), 9)"
    jobs = [(dies if i == 4 else waits, {"clip": f"clip{i}"}) for i in range(9)]
    results = in_order(eval, jobs, n_workers=2, in_processes=True, name=lambda _, names: names["clip"])
    with pytest.raises(WorkerError) as error:
        list(results)
    named = re.findall(r"clip\d", str(error.value))
    assert "clip4" in named
    assert len(named) <= 2
    assert "machine.workers" in str(error.value)
    assert "\n" not in str(error.value)
