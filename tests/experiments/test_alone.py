"""A second command at the same experiments is kept out by name."""

import errno
import os

import pytest

from pipeline.errors import ExperimentError
from pipeline.experiments.alone import only_one


def test_a_second_command_is_kept_from_the_same_and_from_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = pytest.raises(ExperimentError, match=rf"search s: process {os.getpid()} \(.*\) is at work on it")
    with only_one("search", "s"), only_one("search", "t"), only_one("papers", "s"), refused, only_one("search", "s"):
        pass
    with only_one("search", "s"):
        pass


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").write_text("no folder", encoding="utf-8")
    with pytest.raises(ExperimentError, match="cannot be written"), only_one("search", "s"):
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcntl.flock", unsupported)
    with only_one("search", "s"):
        pass
