"""A small server that speaks what a model hub's client asks: model info, files with ranges, redirects, refusals.

It can break connections on purpose. Requests are kept in `seen` as (method, path, Range header, had a token).
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_good"


@dataclass
class Hub:
    """What the server holds and how it misbehaves.

    `cut_after`: how many bytes of a file are sent before the connection breaks, for so many times (`cuts`).
    `gated`: repositories that need the token; `lies`: files whose bytes are not those of the listed checksum.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    cut_after: int = 0
    cuts: int = 0
    ignores_ranges: bool = False
    status: int = 0
    extra_names: tuple[str, ...] = ()
    seen: list[tuple[str, str, str, bool]] = field(default_factory=list)
    url: str = ""

    def ranges_of(self, name: str) -> list[str]:
        """The Range headers of all requests for a file's content, in order."""
        return [asked for method, path, asked, _ in self.seen if method == "GET" and path.endswith(f"/{name}")]


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve on a free port of 127.0.0.1 until the end of the block."""

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        hub = self.state
        path = unquote(urlsplit(self.path).path).strip("/")
        auth = self.headers.get("Authorization", "")
        hub.seen.append((self.command, path, self.headers.get("Range", ""), bool(auth)))
        if hub.status:
            self._send(hub.status, b"{}")
        elif auth not in ("", f"Bearer {TOKEN}"):
            self._send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif path.startswith("api/models/"):
            self._info(path.removeprefix("api/models/"), bool(auth))
        elif path.startswith("elsewhere/"):
            self._content(*path.removeprefix("elsewhere/").split("//", 1))
        else:
            self._resolve(path, bool(auth))

    def _info(self, rest: str, has_token: bool) -> None:
        repo, _, revision = rest.partition("/revision/")
        files = self._repo(repo, has_token)
        if files is None:
            return
        if revision not in ("", "main", COMMIT):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [self._sibling(name, content) for name, content in files.items()]
        siblings += [{"rfilename": name, "size": 1} for name in self.state.extra_names]
        about = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}}
        self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def _sibling(self, name: str, content: bytes) -> dict[str, object]:
        sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        about: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": sha1}
        if len(content) > 10_000:
            digest = hashlib.sha256(content).hexdigest()
            about["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 130}
        return about

    def _resolve(self, path: str, has_token: bool) -> None:
        repo, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = self._repo(repo, has_token)
        if files is None:
            return
        if revision != COMMIT or name not in files:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        elif len(files[name]) > 10_000:  # large files lie elsewhere
            self._send(302, b"", {"Location": f"{self.state.url}/elsewhere/{repo}//{name}", "X-Repo-Commit": COMMIT})
        else:
            self._content(repo, name)

    def _repo(self, repo: str, has_token: bool) -> dict[str, bytes] | None:
        hub = self.state
        if repo not in hub.repos:
            self._send(401 if not has_token else 404, b"{}", {"X-Error-Code": "RepoNotFound"} if has_token else {})
        elif repo in hub.gated and not has_token:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        else:
            return hub.repos[repo]
        return None

    def _content(self, repo: str, name: str) -> None:
        hub = self.state
        content = hub.repos[repo][name]
        if name in hub.lies:
            content = bytes(len(content))
        begin, status, headers = 0, 200, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and not hub.ignores_ranges:
            begin = int(asked.removeprefix("bytes=").split("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        body = content[begin:]
        if hub.cuts > 0 and len(body) > hub.cut_after:
            hub.cuts -= 1
            self._send(status, body, headers, send_only=hub.cut_after)
            return
        self._send(status, body, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, send_only: int = -1) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if send_only < 0 else body[:send_only])
        if send_only >= 0:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
