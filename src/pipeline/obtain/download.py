"""One file from a publisher's server: resumed where it broke off, checked against what he states."""

import hashlib
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pipeline.console import say
from pipeline.corpora.corpus import Download
from pipeline.corpora.recording import CONTROL, shown
from pipeline.errors import ObtainError
from pipeline.obtain.parts import (
    can_resume,
    content_range,
    differs,
    forget,
    note_of,
    number_of,
    read_note,
    size_of_part,
    write_note,
)
from pipeline.obtain.progress import ByteProgress
from pipeline.store.files import sha256_of
from pipeline.words import duration, size

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each new attempt; from the first again after every byte gained
LONGEST_DELAY = 60.0  # seconds that a server may ask for
TIMEOUT = 60.0  # seconds without a byte
CHUNK_BYTES = 1 << 18
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may be gone in a moment
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")


class _Dropped(Exception):  # noqa: N818 (no error yet)
    """An attempt that ended early; another may get further."""

    def __init__(self, reason: str, *, delay: float = 0.0) -> None:
        super().__init__(reason)
        self.delay = delay


class _Outdated(Exception):  # noqa: N818 (no error yet)
    """What is here is not the beginning of what the server has now."""


def file_name(url: str) -> str:
    """Give the name of the file at a URL: the last part of its path that ends as archives do, else the last part."""
    parts = [unquote(part) for part in urlsplit(url).path.split("/")]
    parts = [part for part in parts if part.strip(".") and "/" not in part and not CONTROL.search(part)]
    archives = [part for part in parts if is_archive_name(part)]
    return (archives or parts or ["download"])[-1]


def is_archive_name(name: str) -> bool:
    """Whether a name ends as those of archives do."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def fetch_file(download: Download, path: Path) -> str:
    """Download a file to `path`, which is there only when it is whole and as the publisher states it.

    What has come lies in `path` + .part meanwhile, with a note of which version it is: the next call asks for the rest
    only, or for all of it where the server's file has changed since, or the server cannot give a part.

    Returns
    -------
    str
        Its SHA-256.

    Raises
    ------
    ObtainError
        If the server does not give it, or not what the publisher states, or the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        if path.exists() and not _fault(download, path):
            return sha256_of(path)
        for is_last in (False, True):
            in_parts = _fetch_whole(download, part)
            fault = _fault(download, part)
            if not fault:
                part.replace(path)
                note_of(part).unlink(missing_ok=True)
                return sha256_of(path)
            forget(part)
            if is_last or not in_parts:
                break
            say(f"{path.name}: {fault}, put together from several answers: from the beginning")
        raise ObtainError(f"{download.url}: {fault}: the publisher's file has changed, or was altered on its way")
    except OSError as error:
        raise ObtainError(f"{path}: cannot be written ({error.strerror or error}): make room, then again") from error


def _fault(download: Download, path: Path) -> str:
    """Say what is wrong with a whole file; empty where nothing is."""
    n_bytes = path.stat().st_size
    if download.n_bytes is not None and n_bytes != download.n_bytes:
        return f"{n_bytes} bytes came, {download.n_bytes} are stated"
    algorithm, _, stated = download.checksum.partition(":")
    if not stated:
        return ""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    return "" if found == stated.lower() else f"its {algorithm} is {found}, {stated} is stated"


def _fetch_whole(download: Download, part: Path) -> bool:
    """Ask again after every interruption until the file is whole; tell whether it came in more than one answer."""
    most, failures = size_of_part(part), 0
    in_parts = most > 0
    while True:
        try:
            _ask(download, part)
        except _Outdated as reason:
            if not size_of_part(part):
                raise ObtainError(f"{download.url}: {reason}: the server gives no plain download") from None
            say(f"{file_name(download.url)}: {reason}: from the beginning")
            forget(part)
        except _Dropped as dropped:
            if size_of_part(part) > most:
                most, failures = size_of_part(part), 0
            if failures == len(DELAYS):
                raise ObtainError(
                    f"{download.url}: {dropped}, {failures + 1} times: try again later, what has come is kept"
                ) from None
            in_parts = True
            delay = max(DELAYS[failures], dropped.delay)
            failures += 1
            say(f"{file_name(download.url)}: {dropped}: again in {duration(delay)}")
            time.sleep(delay)
        else:
            return in_parts


def _ask(download: Download, part: Path) -> None:
    """Make one request, for the rest or the whole, and write what comes."""
    note = read_note(part)
    done = size_of_part(part) if can_resume(download, note) else 0
    headers = {"User-Agent": "emospec", "Accept-Encoding": "identity"}  # packed anew, sizes and ranges would be others
    if done:
        headers["Range"] = f"bytes={done}-"
        if validator := note.get("etag") or note.get("last_modified"):
            headers["If-Range"] = validator
    try:
        request = urllib.request.Request(download.url, headers=headers)  # noqa: S310 (the opener knows http and https only)
        with _opener().open(request, timeout=TIMEOUT) as response:
            _write(download, part, response, done=done, note=note)
    except urllib.error.HTTPError as error:
        with error:
            if _is_whole(error, done=done):
                return
            _refuse_status(download, error, done=done)
    except InvalidURL as error:
        raise ObtainError(f"{download.url}: no valid address ({error})") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise ObtainError(f"{download.url}: its server cannot be trusted ({reason.verify_message})") from None
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        what = "no connection" if isinstance(error, urllib.error.URLError) else "the connection broke"
        raise _Dropped(f"{what} ({said})") from None


def _write(download: Download, part: Path, response: HTTPResponse, *, done: int, note: Mapping[str, Any]) -> None:
    if response.status == 206:
        start, total = content_range(response.headers)
        if start != done or not done or differs(response.headers, note, total):
            raise _Outdated("the file on the server is not the one that was begun")
    else:
        done, total = 0, number_of(response.headers.get("Content-Length"))
        if size_of_part(part):
            say(f"{file_name(download.url)}: the server has another version, or cannot resume: from the beginning")
    stated = download.n_bytes
    if None not in (total, stated) and total != stated:
        raise ObtainError(f"{download.url}: the server offers {total} bytes, {stated} are stated: the file has changed")
    total = stated if total is None else total
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - done > free:
        raise ObtainError(f"{part.parent}: {size(total - done)} to come, {size(free)} free: make room, then again")
    if not done:
        forget(part)
        write_note(part, download.url, response.headers, total)
    with part.open("ab" if done else "wb", buffering=0) as file:
        _copy(response, file, done=done, total=total, label=file_name(download.url))


def _copy(response: HTTPResponse, file: IO[bytes], *, done: int, total: int | None, label: str) -> None:
    with ByteProgress(label, done=done, total=total) as progress:
        while chunk := response.read1(CHUNK_BYTES):
            if total is not None and done + len(chunk) > total:
                raise ObtainError(f"{response.url}: more came than the {total} bytes that it should have")
            _append(file, chunk)
            done += len(chunk)
            progress.add(len(chunk))
    if total is not None and done < total:
        raise _Dropped(f"the connection broke after {size(done)} of {size(total)}")


def _append(file: IO[bytes], chunk: bytes) -> None:
    left = memoryview(chunk)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:  # told apart from those of the connection
        raise ObtainError(f"{file.name}: cannot be written ({error.strerror}): make room, then again") from error


def _is_whole(error: urllib.error.HTTPError, *, done: int) -> bool:
    """Whether the server had nothing left to give: what is here is all of it."""
    return error.code == 416 and done > 0 and error.headers.get("Content-Range", "") == f"bytes */{done}"


def _refuse_status(download: Download, error: urllib.error.HTTPError, *, done: int) -> None:
    if error.code == 416 and done:
        raise _Outdated("the server has less of it than is here")
    said = f"{error.code} {shown(str(error.reason))}".strip()
    if error.code in PASSING:
        asked = number_of(error.headers.get("Retry-After")) or 0
        raise _Dropped(f"the server said {said}", delay=min(float(asked), LONGEST_DELAY))
    raise ObtainError(f"{download.url}: the server said {said}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows the server elsewhere, but not from a protected connection to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise ObtainError(f"{req.full_url}: leads from https to {shown(newurl)}, which anyone on the way can alter")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Open http and https only, through the proxies that the environment names."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
