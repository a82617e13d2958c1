"""The Hub's calls that a commit is made of, over real HTTP, failing where it is told to. Speaks to the real client."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlparse

Fault = Literal["drop", "500", "429", "503", "drop after the commit"]


@dataclass
class Store:
    """What the Hub holds. faults: number of a request, counted from 0 -> how it fails, once."""

    token: str = ""
    repos: tuple[str, ...] = ("owner/name", "evaleval/EEE_datastore")
    main: dict[str, bytes] = field(default_factory=dict)
    pulls: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)  # title, files
    commits: list[dict[str, bytes]] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    status: int = 0  # of every commit, if not 0
    author: str = "me"  # of the pull requests; whose the token is, or somebody else
    asked: list[str] = field(default_factory=list)


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET", b"")

        def do_HEAD(self) -> None:
            self._answer("HEAD", b"")

        def do_POST(self) -> None:
            self._answer("POST", self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, verb: str, body: bytes) -> None:
            url = urlparse(self.path)
            parts = unquote(url.path).strip("/").split("/")
            fault = store.faults.pop(len(store.asked), None)
            store.asked.append(f"{verb} {url.path}")
            if fault == "drop":
                self.close_connection = True
                self.connection.close()
            elif fault in ("500", "429", "503"):
                self._reply(int(fault), {"error": "made to fail"})
            elif parts == ["api", "whoami-v2"]:
                self._reply(200, {"type": "user", "name": "me", "auth": {}})
            elif parts == ["api", "validate-yaml"]:
                self._reply(200, {"errors": [], "warnings": []})
            elif parts[:1] == ["api"] and "/".join(parts[2:4]) in store.repos:
                self._api(parts[4:], parse_qs(url.query), body, fault)
            elif parts[:2] in ([repo.split("/") for repo in store.repos]) and parts[2:3] == ["resolve"]:
                self._file("/".join(parts[4:]), verb)
            else:
                self._reply(404, {"error": "no"}, [("X-Error-Code", "RepoNotFound")])

        def _api(self, rest: list[str], query: dict[str, list[str]], body: bytes, fault: Fault | None) -> None:
            if rest[:1] == ["discussions"]:
                found = [self._discussion(i, title) for i, (title, _) in enumerate(store.pulls, 1)]
                self._reply(200, {"discussions": found, "count": len(found), "start": 0})
            elif rest[:1] in (["preupload"], ["commit"]) and self._refused():
                return
            elif rest[:1] == ["preupload"]:
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                self._reply(200, {"files": files})
            elif rest[:1] == ["commit"]:
                self._commit(query.get("create_pr") == ["1"], body, fault)
            else:
                self._reply(404, {"error": "no"}, [("X-Error-Code", "EntryNotFound")])

        def _refused(self) -> bool:
            if store.token and self.headers.get("Authorization") != f"Bearer {store.token}":
                self._reply(401, {"error": "Invalid credentials"})
                return True
            if store.status:
                self._reply(store.status, {"error": "conflict"})
                return True
            return False

        def _commit(self, pull: bool, body: bytes, fault: Fault | None) -> None:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            files = {x["value"]["path"]: base64.b64decode(x["value"]["content"]) for x in lines if x["key"] == "file"}
            title = next(x["value"]["summary"] for x in lines if x["key"] == "header")
            if pull:
                store.pulls.append((title, files))
            else:
                store.commits.append(files)
            if fault == "drop after the commit":
                self.close_connection = True
                self.connection.close()
                return
            base = f"http://127.0.0.1:{self.server.server_port}/owner/name"  # type: ignore[attr-defined]
            value = {"success": True, "commitOid": "0" * 40, "commitUrl": f"{base}/commit/{'0' * 40}", "hookOutput": ""}
            self._reply(200, value | ({"pullRequestUrl": f"{base}/discussions/{len(store.pulls)}"} if pull else {}))

        def _file(self, path: str, verb: str) -> None:
            if path not in store.main:
                self._reply(404, {"error": "no"}, [("X-Error-Code", "EntryNotFound")])
                return
            data = store.main[path]
            self.send_response(200)
            for name, value in (
                ("ETag", f'"{hash(data)}"'),
                ("X-Repo-Commit", "a" * 40),
                ("Content-Length", str(len(data))),
            ):
                self.send_header(name, value)
            self.end_headers()
            if verb != "HEAD":
                self.wfile.write(data)

        def _discussion(self, number: int, title: str) -> dict[str, Any]:
            return {
                "num": number,
                "title": title,
                "status": "open",
                "isPullRequest": True,
                "author": {"name": store.author},
                "createdAt": "2026-01-01T00:00:00.000Z",
                "repo": {"name": "owner/name", "type": "model"},
            }

        def _reply(self, code: int, value: Any, headers: list[tuple[str, str]] = []) -> None:  # noqa: B006
            data = json.dumps(value).encode()
            self.send_response(code)
            for name, text in [("Content-Type", "application/json"), ("Content-Length", str(len(data))), *headers]:
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Hub


@contextmanager
def publishing_hub(store: Store) -> Iterator[str]:
    """The address of a running one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(store)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
