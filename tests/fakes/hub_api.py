"""As much of the Hub as `doctor` asks: HEAD, and the list of one model's files."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(BaseHTTPRequestHandler):
    """Answers HEAD with 404, which is an answer, and lists one model's files."""

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_GET(self) -> None:
        files = [
            {"rfilename": "model.safetensors", "size": 20_000_000_000_000},
            {"rfilename": "pytorch_model.bin", "size": 99_000_000_000_000},
            {"rfilename": "config.json"},
        ]
        known = self.path == "/api/models/owner/name/revision/main?blobs=true"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"siblings": files}).encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def small_hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
