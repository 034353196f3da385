"""What the machine has: disk for the outputs and for DVC's copies of them, memory, and a GPU's memory."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

FICLONE = 0x40049409  # linux/fs.h: make a file share another one's blocks
NO_LIMIT = 2**60


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is free now."""

    project: Path
    free_disk: int  # bytes, where the project lies
    cache: Path
    free_cache_disk: int  # bytes, where DVC's cache lies
    one_disk: bool  # whether both are the same
    cache_link: str  # how DVC keeps outputs: copy, or the kind of link that takes no space
    free_memory: int  # bytes, this process's own share included
    free_gpu: int | None  # bytes; None without a CUDA device

    @property
    def copies(self) -> bool:
        """Whether every output is on the disk twice."""
        return self.cache_link == "copy"


def present_machine(project: Path, *, devices: Collection[str]) -> Machine:
    """Look at the machine that this process runs on; `devices` are torch's names of those to be used."""
    cache, kinds = _dvc_cache(project)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    one_disk = project.stat().st_dev == there.stat().st_dev
    return Machine(
        project=project,
        free_disk=shutil.disk_usage(project).free,
        cache=cache,
        free_cache_disk=shutil.disk_usage(there).free,
        one_disk=one_disk,
        cache_link=_link(kinds, project, one_disk=one_disk),
        free_memory=free_memory(),
        free_gpu=free_gpu(devices),
    )


def _dvc_cache(project: Path) -> tuple[Path, Sequence[str]]:
    """Where DVC's cache lies and which kinds of links it may use, in their order."""
    from dvc.config import Config, ConfigError

    folder = project / ".dvc"
    try:
        chosen = Config(dvc_dir=str(folder) if folder.is_dir() else None)["cache"]
    except ConfigError:  # DVC itself will say what is wrong with its settings
        chosen = {}
    return Path(chosen.get("dir") or folder / "cache").absolute(), chosen.get("type") or ["reflink", "copy"]


def _link(kinds: Sequence[str], project: Path, *, one_disk: bool) -> str:
    """Choose the first kind that works here, as DVC does."""
    works = {"symlink": True, "hardlink": one_disk, "reflink": one_disk and _has_reflinks(project)}
    return next((kind for kind in kinds if works.get(kind, False)), "copy")


def _has_reflinks(folder: Path) -> bool:
    """Try to let two files without a name share their blocks; nothing stays."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
            one.write(bytes(2**16))
            one.flush()
            fcntl.ioctl(other.fileno(), FICLONE, one.fileno())
    except OSError:
        return False
    return True


def free_memory() -> int:
    """Memory that a new process can have: what the machine has left, or less within a container."""
    import psutil  # type: ignore[import-untyped]

    free = int(psutil.virtual_memory().available)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # no such limit; `max` is no number
            most = int(Path(limit).read_text(encoding="ascii"))
            if most < NO_LIMIT:
                free = min(free, most - int(Path(used).read_text(encoding="ascii")))
    return free


def free_gpu(devices: Collection[str]) -> int | None:
    """Memory of the CUDA devices that will be used, of the fullest one; what this process holds there is free again."""
    import torch

    free = []
    for device in {name for name in devices if name.startswith("cuda")}:
        torch.cuda.empty_cache()
        free.append(torch.cuda.mem_get_info(torch.device(device))[0] + torch.cuda.memory_reserved(torch.device(device)))
    return min(free, default=None)
