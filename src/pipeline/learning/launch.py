"""Start a script in several processes that train together, as torchrun does."""

import logging
import signal
import sys
import tempfile
import uuid

from pipeline.errors import ModelError
from pipeline.learning.team import LOST, is_launched, team_of_environment


def use_processes(n: int) -> bool:
    """Run this script, with its arguments, in `n` processes, and exit when they have ended.

    It returns where one process is enough, and in the processes that torchrun or this function has started.

    Returns
    -------
    Whether this process leads: of all that train together it is the one that writes.

    Raises
    ------
    SystemExit
        With 0, or the status of a process that failed and has said why.
    ModelError
        If a process was killed, or they lost one another.
    """
    if n == 1 or is_launched():
        return team_of_environment().leads
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # errors are told here, in one line
    with tempfile.TemporaryDirectory() as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=n,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)(*sys.argv)
        except SignalException as error:
            raise SystemExit(128 + error.sigval) from None
        except ChildFailedError as error:
            _explain({rank: failure.exitcode for rank, failure in error.failures.items()})
    raise SystemExit(0)


def _explain(statuses: dict[int, int]) -> None:
    """Say why processes ended, by their exit statuses, if none of them has said so."""
    killed = {rank: -status for rank, status in statuses.items() if status < 0 and -status != signal.SIGTERM}
    if spoke := [status for status in statuses.values() if status > 0 and status != LOST]:
        raise SystemExit(spoke[0])
    if killed:
        rank, number = next(iter(killed.items()))
        hint = ", as the system does where memory runs out" if number == signal.SIGKILL else ""
        what = f"process {rank} of the training was killed by {signal.Signals(number).name}{hint}"
    else:
        what = "the processes of the training lost one another"
    raise ModelError(f"{what}: start it again, and it goes on from the state that was kept last")
