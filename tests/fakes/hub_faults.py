"""The stand-in for the Hub behind a line that fails: at one request, or at every one from then on.

It also answers the Hub's check of a card's metadata, which the stand-in does not know.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Kind = Literal["drop", "timeout", "lost", "500", "429", "401", "404", "412", "400", "garbage"]
HANG = 5.0  # seconds of a request that is not answered
KEPT = ("Authorization", "Content-Type", "Range")


@dataclass
class Line:
    """at: the number of the request that fails (from 0), or None. upto: how many fail, from that one on.

    lost: it reaches the Hub, and its answer does not come back. echo: what a refusal says.
    """

    address: str
    at: int | None = None
    kind: Kind = "drop"
    upto: int = 1
    echo: str = ""
    seen: list[str] = field(default_factory=list)
    url: str = ""

    def fail(self, at: int | None, kind: Kind = "drop", upto: int = 1, echo: str = "") -> None:
        """The next requests are counted anew."""
        self.at, self.kind, self.upto, self.echo = at, kind, upto, echo
        self.seen.clear()


@contextmanager
def failing_line(address: str) -> Iterator[Line]:
    """A line to the stand-in at `address`, whole until `fail` is called."""
    line = Line(address)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            number = len(line.seen)
            line.seen.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fails = line.at is not None and line.at <= number < line.at + line.upto
            if not fails or line.kind == "lost":
                status, headers, data = self.forwarded(body)
            if not fails:
                self.answer(status, headers, data)
            elif line.kind in ("drop", "lost"):
                self.close_connection = True
                self.connection.close()
            elif line.kind == "timeout":
                time.sleep(HANG)
                self.close_connection = True
            elif line.kind == "garbage":
                self.forwarded(body)
                self.answer(200, {"Content-Type": "application/json"}, b'{"comm')
            else:
                said = json.dumps({"error": line.echo}).encode()
                headers = {"Content-Type": "application/json", "X-Error-Message": line.echo, "Retry-After": "0"}
                self.answer(int(line.kind), headers, said)

        do_GET = do_POST = do_HEAD = do

        def forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            if self.path == "/api/validate-yaml":
                return 200, {"Content-Type": "application/json"}, b'{"errors": [], "warnings": []}'
            headers = {name: value for name in KEPT if (value := self.headers.get(name))}
            request = urllib.request.Request(
                line.address + self.path, data=body or None, headers=headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as found:
                    return found.status, dict(found.headers), found.read()
            except urllib.error.HTTPError as error:
                return error.code, dict(error.headers), error.read()

        def answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
            for name, value in headers.items():
                if name not in ("Content-Length", "Server", "Date", "Connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        line.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield line
        server.shutdown()
        thread.join()
