"""A publisher's server on this machine, as obliging or as unreliable as a test wants."""

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, and how the server gives it; what is set per answer is used up in order.

    Attributes
    ----------
    drops
        After how many bytes of its body each answer breaks off; None gives all.
    statuses
        Of each answer; 0 is the usual one.
    asked
        The Range of each request, None without one.
    if_range
        The If-Range of each request, None without one.
    sent
        Bytes of the body of each answer.
    """

    data: bytes = b""
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    states_length: bool = True
    heeds_if_range: bool = True
    location: str = ""
    retry_after: str = ""
    drops: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    if_range: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        served = self.server.files.get(self.path)
        if served is None:
            self._head(404, {"Content-Length": "0"})
            return
        served.asked.append(self.headers.get("Range"))
        served.if_range.append(self.headers.get("If-Range"))
        self.close_connection = True
        status = served.statuses.pop(0) if served.statuses else 0
        if status or served.location:
            headers = {"Content-Length": "0"}
            headers |= {"Location": served.location} if served.location else {}
            headers |= {"Retry-After": served.retry_after} if served.retry_after else {}
            self._head(status or 302, headers)
            served.sent.append(0)
            return
        self._give(served)

    def _give(self, served):
        n, first, status, headers = len(served.data), 0, 200, {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and served.ranges and self._is_same(served):
            first, status = int(asked[1]), 206
            if first >= n:
                self._head(416, {"Content-Range": f"bytes */{n}", "Content-Length": "0"})
                served.sent.append(0)
                return
            headers["Content-Range"] = f"bytes {first}-{n - 1}/{n}"
        if served.states_length:
            headers["Content-Length"] = str(n - first)
        headers |= {"ETag": served.etag} if served.etag else {}
        headers |= {"Last-Modified": served.last_modified} if served.last_modified else {}
        self._head(status, headers)
        most = served.drops.pop(0) if served.drops else None
        body = served.data[first:] if most is None else served.data[first : first + most]
        served.sent.append(len(body))
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def _is_same(self, served):
        wanted = self.headers.get("If-Range")
        return wanted is None or not served.heeds_if_range or wanted in (served.etag, served.last_modified)

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


class Publisher:
    """Files by path, and the address under which they are offered."""

    def __init__(self, address: str, files: dict[str, Served]) -> None:
        self.address, self.files = address, files

    def offer(self, path: str, data: bytes = b"", **how) -> Served:
        self.files[path] = Served(data, **how)
        return self.files[path]

    def url(self, path: str) -> str:
        return self.address + path


@contextlib.contextmanager
def publisher() -> Iterator[Publisher]:
    """Serve until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files = {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Publisher(f"http://127.0.0.1:{server.server_port}", server.files)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
