"""Several processes that train one network together, each on its share of every batch: torchrun's, or one alone.

The engine is torch.distributed with DistributedDataParallel: gloo between processors, NCCL between GPUs.
"""

import contextlib
import ctypes
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from pipeline.errors import ModelError
from pipeline.models.inference import choose_device

LOST = 75  # exit status of a process that lost the others
# What torch says where another process is gone.
LOST_SIGNS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
PR_SET_PDEATHSIG = 1  # sys/prctl.h


@dataclass(frozen=True)
class Team:
    """The processes of one training run, and which of them this is; by itself one process alone.

    Attributes
    ----------
    rank
        Which of all processes, from 0; 0 leads: it alone writes and speaks.
    local_rank, local_size
        Which of those on this machine, and how many these are.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def threads(self, wanted: int) -> int:
        """CPU threads of this process, of those wanted on this machine (0: one per core)."""
        return wanted if self.size == 1 else max(1, (wanted or os.cpu_count() or 1) // self.local_size)

    def device(self, wanted: str) -> torch.device:
        """Choose where this process computes: a GPU of its own each, or all on the CPU.

        Raises
        ------
        ModelError
            If there are fewer GPUs than processes, or all would get the same device.
        """
        if self.size == 1:
            return choose_device(wanted)
        first = choose_device(wanted)
        if first.type == "cpu":
            return first
        if first.type != "cuda" or first.index is not None:
            raise ModelError(
                f"train.device: {wanted} is one device, and {self.size} processes train: set it to auto, cuda (a GPU "
                "each) or cpu, or train.processes to 1"
            )
        n_gpus = torch.cuda.device_count()
        if n_gpus < self.local_size:
            raise ModelError(
                f"train.processes: {self.local_size} processes need a GPU each, and there are {n_gpus}: set "
                f"train.processes to {n_gpus}, or train.device to cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def share(self, n: int) -> slice:
        """Which of `n` items are this process's: neighbours, as many as the others have, or one more.

        Where there are fewer items than processes, every process has all of them.
        """
        return slice(0, n) if n < self.size else self.deal(n)

    def deal(self, n: int) -> slice:
        """Which of `n` items are this process's, maybe none: all of them are dealt out once."""
        each, more = divmod(n, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def gather(self, own: Any) -> list[Any]:
        """What every process gives, in the order of the processes."""
        if self.size == 1:
            return [own]
        everything: list[Any] = [None] * self.size
        dist.all_gather_object(everything, own)
        return everything

    def gather_rows(self, rows: Tensor, shares: list[int]) -> Tensor:
        """Rows (n, ...) of all processes, one after the other; `shares` says how many each process has."""
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(shares), *rows.shape[1:]))
        padded[: len(rows)] = rows
        everything = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(everything, padded)
        return torch.cat([own[:n] for own, n in zip(everything, shares, strict=True)])

    def told(self, make: Callable[[], Any]) -> Any:
        """What `make` gives the process that leads, which alone calls it."""
        if self.size == 1:
            return make()
        values = [make() if self.leads else None]
        dist.broadcast_object_list(values, src=0)
        return values[0]


ALONE = Team()


def is_launched() -> bool:
    """Whether torchrun, or its launcher, has started this process: by the variables that it sets."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def team_of_environment() -> Team:
    """The team that this process was started for; else one alone."""
    if not is_launched():
        return ALONE
    return Team(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))


@contextlib.contextmanager
def joined(team: Team) -> Iterator[None]:
    """Connect the processes of a team inside the block; those that do not lead are silent in it.

    Of what goes wrong in it the first process to fail speaks; those that fail after it, because it is gone, exit
    without a word.
    """
    if team.size == 1:
        yield
        return
    _end_with_parent()
    store, _, _ = next(rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=team.rank, world_size=team.size)
    quiet = contextlib.nullcontext() if team.leads else contextlib.redirect_stderr(io.StringIO())
    try:
        with quiet:
            yield
    except KeyboardInterrupt:
        if team.leads:
            raise
        raise SystemExit(128 + signal.SIGINT) from None
    except Exception as error:
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in LOST_SIGNS):
            raise SystemExit(LOST) from None
        if store.add("failed", 1) > 1:
            raise SystemExit(1) from None
        raise
    else:
        team.gather(None)  # none leaves while another one still works
        dist.destroy_process_group()


def _end_with_parent() -> None:
    """Have Linux kill this process when the one that started it is killed, so that none is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
