"""Stages on full and read-only disks, and two of them at once: one clear error, and what was there is kept."""

import os
import shutil
import signal
import subprocess
from collections import Counter

from forked import run_stage, stage_of, start_forked
from made_workspace import STAGES, files_under, outputs_of, put_outputs, temporary_files

LEFT = (0, 4096, 16384, 65536, 262144)  # bytes that a full disk has left
DISK = "64m"


def can_mount(folder):
    """Whether this process may mount a small disk in memory; says what is missing if not."""
    place = folder / "probe"
    place.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return f"no command mount ({error.strerror})"
    if done.returncode:
        return done.stderr.strip() or "mounting is not allowed"
    subprocess.run(["umount", place], check=True)
    return ""


class Disk:
    """A disk in memory with a copy of a workspace, that can be filled up and made read-only."""

    def __init__(self, place, source):
        self.place, self.workspace = place, place / "work"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place], check=True)
        shutil.copytree(source, self.workspace)

    def fill(self, left):
        """Leave so many bytes."""
        room = os.statvfs(self.place)
        with (self.place / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - left, 1))

    def empty(self):
        (self.place / "ballast").unlink(missing_ok=True)

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.place], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.place], check=True)


def one_error(done, *words):
    """Whether a stage ended with one line that says what was wrong, and nothing that looks like a crash."""
    errors = [line for line in done.said.splitlines() if line.startswith("error: ")]
    return done.code == 1 and len(errors) == 1 and "Traceback" not in done.said and all(w in errors[0] for w in words)


def full_disks(disk, old, new, stages, *, lefts=LEFT):
    """Run stages on a disk that has little room left; count those that fitted, and those that said so."""
    counts, faults = Counter(), []
    for stage in stages:
        outputs = outputs_of(stage)
        before, after = files_under(old, outputs), files_under(new, outputs)
        for left in lefts:
            put_outputs(old, disk.workspace, outputs)
            disk.fill(left)
            done = run_stage(disk.workspace, stage, STAGES[stage])
            there = files_under(disk.workspace, outputs)
            # curves that broke off stay to be looked at, under a name of their own
            remains = [name for name in temporary_files(disk.workspace) if not name.endswith(".growing.part")]
            disk.empty()
            if done.code == 0 and there == after and not remains:
                counts["enough room"] += 1
            elif one_error(done, "No space left on device") and there == before and not remains:
                counts["one error, the old kept"] += 1
            else:
                changed = [name for name in {*there, *before} if there.get(name) != before.get(name)]
                faults.append(
                    f"{stage}, {left} bytes left: exit {done.code}, changed {changed}, left {remains}: {done.said}"
                )
        put_outputs(new, disk.workspace, outputs)
    return counts, faults


def read_only(disk, stages):
    """Run stages on a disk that cannot be written."""
    counts, faults = Counter(), []
    disk.remount("ro")
    for stage in stages:
        done = run_stage(disk.workspace, stage, STAGES[stage])
        if one_error(done, "Read-only file system") and len(done.said.splitlines()) == 1:
            counts["one line before any work"] += 1
        else:
            faults.append(f"{stage} on a read-only disk: exit {done.code}: {done.said}")
    disk.remount("rw")
    return counts, faults


def two_at_once(workspace, old, new, stages):
    """Halt a stage in the middle and run it a second time beside it."""
    counts, faults = Counter(), []
    for stage in stages:
        outputs = outputs_of(stage)
        put_outputs(old, workspace, outputs)
        first = start_forked(workspace, stage_of(stage, STAGES[stage]), hooks=_halt)
        os.waitpid(first, os.WUNTRACED)
        second = run_stage(workspace, stage, STAGES[stage])
        kept = files_under(workspace, outputs) == files_under(old, outputs)
        os.kill(first, signal.SIGCONT)
        _, status = os.waitpid(first, 0)
        is_new = files_under(workspace, outputs) == files_under(new, outputs)
        if one_error(second, f"is being written by process {first} ({stage}.py") and kept and status == 0 and is_new:
            counts["refused, naming the first; the first ends well"] += 1
        else:
            faults.append(f"{stage} twice: {second.code}: {second.said}; first: {status}, kept {kept}, new {is_new}")
    return counts, faults


def _halt():
    """Halt before a file is synced or renamed: where nothing has changed yet."""
    real = os.fsync, os.replace, os.rename

    def halted(how):
        def do(*arguments, **options):
            os.fsync, os.replace, os.rename = real
            os.kill(os.getpid(), signal.SIGSTOP)
            how(*arguments, **options)

        return do

    os.fsync, os.replace, os.rename = (halted(how) for how in real)
