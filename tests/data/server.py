"""A local HTTP server that serves, stops, lies and is slow, as told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server does with a request for any path.

    Attributes:
        content: of every file.
        status: the answer instead of the file, where it is not 200.
        ranges: whether it serves a part of the file when asked to.
        length: whether it says how long the answer is.
        stop_after: bytes of each answer after which it closes the connection.
        says: what the answer says its length is, where that is not so.
        to: where the answer refers to instead.
        stall: whether it then keeps the connection open and silent, until the end.
        requests: the Range header of each request that came, None for the whole file.
    """

    content: bytes = b""
    status: int = 200
    ranges: bool = True
    length: bool = True
    stop_after: int | None = None
    says: str | None = None
    to: str | None = None
    stall: bool = False
    requests: list[str | None] = field(default_factory=list)
    url: str = ""
    end: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, asked = self.site, self.headers["Range"]
        site.requests.append(asked)
        if site.to is not None:
            self.send_response(302)
            self.send_header("Location", site.to)
            return self.end_headers()
        if site.status != 200:
            return self.send_error(site.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and site.ranges else 0
        if start >= len(site.content) > 0:
            return self.send_error(416)
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if site.length:
            self.send_header("Content-Length", site.says or str(len(body)))
        if start:
            last = len(site.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        self.end_headers()
        self.wfile.write(body[: site.stop_after])
        self.wfile.flush()
        if site.stall:
            site.end.wait()
        return None

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Site]:
    site = Site()
    handler = type("Own", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}/file"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.end.set()
        server.shutdown()
        thread.join()
