"""Every combination of host, route, origin and proof against a real server, by raw sockets."""

import hmac
import itertools
import json
import socket
import time
from typing import Any

import pytest

from desktop_app.api.guard import StartKeys, access_policy, judge

WEBSOCKET = "GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket"
ROUTES = [
    "GET /",
    "GET /_nicegui_ws/socket.io/?EIO=4&transport=polling",
    WEBSOCKET,
    "GET /favicon.ico",
    "POST /_nicegui/client/1/upload/2",
    "GET /no/such/page",
    "GET /api/v1/echo",
]
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def hosts(port: int) -> list[str | None]:
    """The first is ours."""
    return [
        f"127.0.0.1:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"localhost:{port}",
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1:{port}.evil.example",
        f"127.0.0.1.nip.io:{port}",
        f"[::1]:{port}",
        f"0x7f.1:{port}",
        f"user@127.0.0.1:{port}",
        f"127.0.0.1:{port}, evil.example",
        None,
    ]


def status_of(port: int, request: str, headers: list[str], body: bytes = b"") -> int:
    """Send one request as written and return the status; 0 if the server hung up without one."""
    method, path = request.split(" ", 1)
    text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in headers)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall((text + f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body)
        first = connection.recv(64)
    return int(first.split(b" ")[1]) if first.startswith(b"HTTP/1.1 ") else 0


def test_all_combinations(guarded: Any) -> None:
    origins = [None, guarded.origin, "http://evil.example", f"http://localhost:{guarded.port}", "null"]
    wrong = f"{guarded.about['cookie']}={guarded.new_key()}"
    cookies = [None, guarded.cookie, wrong, f"other={guarded.about['session']}"]
    count, let_in = 0, 0
    for host, route, origin, cookie in itertools.product(hosts(guarded.port), ROUTES, origins, cookies):
        headers = [f"Host: {host}"] if host else []
        headers += [f"Origin: {origin}"] if origin else []
        headers += [f"Cookie: {cookie}"] if cookie else []
        if route == WEBSOCKET:
            headers.append(UPGRADE.rstrip("\r\n"))
        status = status_of(guarded.port, route, headers)
        right_origin = origin == guarded.origin or (origin is None and route != WEBSOCKET)
        expected = host == f"127.0.0.1:{guarded.port}" and right_origin and cookie == guarded.cookie
        assert (status not in (403, 400, 0)) == expected, (host, route, origin, cookie, status)
        count, let_in = count + 1, let_in + expected
    assert count == 13 * 7 * 5 * 4
    time.sleep(0.3)
    assert len(guarded.passed()) == let_in


def test_only_one_use_of_a_start_key_and_never_by_another_method(guarded: Any) -> None:
    host = f"Host: 127.0.0.1:{guarded.port}"
    start = f"/start?key={guarded.new_key()}"
    assert status_of(guarded.port, f"POST {start}", [host]) == 403
    assert status_of(guarded.port, f"HEAD {start}", [host]) == 403
    assert status_of(guarded.port, f"GET {start}", ["Host: evil.example"]) == 403
    assert status_of(guarded.port, f"GET {start}", [host, "Origin: http://evil.example"]) == 403
    assert status_of(guarded.port, f"GET {start}", [host, "Sec-Fetch-Site: cross-site"]) == 403
    assert status_of(guarded.port, f"GET {start}&key=x", [host]) == 403
    assert status_of(guarded.port, f"GET {start}", [host]) == 303
    assert status_of(guarded.port, f"GET {start}", [host]) == 403
    assert status_of(guarded.port, f"GET {start}", [host, f"Cookie: {guarded.cookie}"]) == 403
    assert guarded.passed() == []


@pytest.mark.parametrize(
    "doubled",
    ["Host: 127.0.0.1:{port}", "Origin: {origin}", "Cookie: {cookie}", "Sec-Fetch-Site: none"],
)
def test_a_header_that_decides_is_refused_twice(guarded: Any, doubled: str) -> None:
    given = {"port": guarded.port, "origin": guarded.origin, "cookie": guarded.cookie}
    headers = ["Host: 127.0.0.1:{port}", "Origin: {origin}", "Cookie: {cookie}", "Sec-Fetch-Site: none"]
    filled = [line.format(**given) for line in headers]
    assert status_of(guarded.port, "GET /", filled) == 200
    assert status_of(guarded.port, "GET /", [*filled, doubled.format(**given)]) in (400, 403)
    assert len(guarded.passed()) == 1


@pytest.mark.parametrize(
    ("site", "status"), [("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403), ("", 403)]
)
def test_what_the_browser_says_about_the_asking_page(guarded: Any, site: str, status: int) -> None:
    headers = [f"Host: 127.0.0.1:{guarded.port}", f"Cookie: {guarded.cookie}", f"Sec-Fetch-Site: {site}"]
    assert status_of(guarded.port, "GET /", headers) == status


def test_a_token_opens_its_own_paths_only(guarded: Any) -> None:
    headers = [f"Host: 127.0.0.1:{guarded.port}", f"Authorization: Bearer {guarded.about['token']}"]
    assert status_of(guarded.port, "GET /api/v1/echo", headers) == 200
    assert status_of(guarded.port, "GET /", headers) == 403
    assert status_of(guarded.port, "GET /api/v1/echo", [*headers, "Origin: http://evil.example"]) == 403
    assert status_of(guarded.port, "GET /api/v1/echo", [headers[0], "Authorization: Bearer x"]) == 403
    assert status_of(guarded.port, "GET /api/v1/echo", [headers[0], f"Authorization: {guarded.about['token']}"]) == 403


def test_proxies_are_not_believed_and_answers_carry_the_policy(guarded: Any) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as connection:
        connection.sendall(
            f"GET /api/v1/echo HTTP/1.1\r\nHost: 127.0.0.1:{guarded.port}\r\nCookie: {guarded.cookie}\r\n"
            "X-Forwarded-Prefix: /evil\r\nx-forwarded-for: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"forwarded" not in body.lower()
    assert json.loads(body)["host"] == f"127.0.0.1:{guarded.port}"
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
    assert names.count(b"content-security-policy") == 1
    assert b"frame-ancestors 'none'" in head
    assert b"x-content-type-options: nosniff" in head
    assert b"server" not in names


def test_a_refused_body_is_not_read(guarded: Any) -> None:
    """The answer comes although the promised gigabyte never does."""
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as connection:
        connection.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 403")


def test_secrets_differ_and_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = access_policy(1, ["/api/"]), access_policy(1, ["/api/"])
    secrets_seen = {first.session, second.session, first.tokens["/api/"], second.tokens["/api/"], StartKeys().issue()}
    assert len(secrets_seen) == 5
    assert all(len(secret) >= 43 for secret in secrets_seen)  # 256 bits in base 64
    assert all(secret not in repr(first) for secret in secrets_seen)
    compared = []
    plain = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or plain(a, b))
    headers = [(b"host", b"127.0.0.1:1"), (b"cookie", b"whetstone_1=\xff")]
    assert judge(first, {"type": "http", "method": "GET", "path": "/", "headers": headers}) == "refuse"
    assert compared == [first.session.encode()]
