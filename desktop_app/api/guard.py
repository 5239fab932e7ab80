"""Let nobody but this program's own window, and scripts that hold a token, reach the local port.

Any web page and any process of this computer can send requests to 127.0.0.1; NiceGUI answers all of them.
Knows nothing of what it guards. Surprising choice: pure ASGI, because Starlette's base middleware never
sees websockets, and refusing before a byte of the body is read.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

START_PATH = "/start"
# What programs with a token of the user's may reach; a page of the window they may not.
API_PREFIXES = ("/api/", "/v1/")
Headers = list[tuple[bytes, bytes]]

# Said twice, a header could be read one way here and another way behind.
_ONLY_ONCE = (b"host", b"origin", b"cookie", b"authorization", b"sec-fetch-site")
# NOTE: Vue compiles NiceGUI's templates in the page, hence 'unsafe-eval'; its page carries inline scripts and styles.
# ReDoc searches in a worker that it makes of a blob.
_CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; object-src 'none'; "
    "worker-src 'self' blob:; frame-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
# A refused page in a browser has our origin: it may do nothing, not even ask for an icon.
_NOTHING = "default-src 'none'; frame-ancestors 'none'; sandbox"
_REFUSED = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
_REFUSAL = (
    b"Forbidden. Open Whetstone by its own window or by the one-time link it prints. "
    b"Programs need the API switched on and a token (Settings), sent as 'Authorization: Bearer TOKEN'.\n"
)
# Pages that a start link may lead to; anything else could be a trap.
_PAGES = ("/", "/api/docs", "/api/redoc")


class StartKeys:
    """Keys that open the window once each; what a key is exchanged for differs from the key."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._lock = Lock()

    def issue(self) -> str:
        """Make a key of 256 random bits that `redeem` accepts once."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._open.add(key)
        return key

    def redeem(self, key: str) -> bool:
        """Whether `key` is open; it is not any more after this."""
        with self._lock:
            found = [known for known in self._open if _same(known, key)]
            self._open.difference_update(found)
        return bool(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """Who is let in. `tokens` are the window's own bearer tokens by the path prefix that each opens.

    `accepts_token` judges the tokens of programs, which open the paths below `API_PREFIXES` alone.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    cookie: str
    session: str = field(repr=False)
    tokens: Mapping[str, str] = field(repr=False)
    accepts_token: Callable[[str], bool] = field(default=lambda given: False, repr=False)
    keys: StartKeys = field(default_factory=StartKeys, repr=False)

    @property
    def content_policy(self) -> str:
        """What a page of ours may load and who may frame it."""
        sockets = " ".join(sorted(origin.replace("http", "ws", 1) for origin in self.origins))
        return _CONTENT_POLICY.format(sockets=sockets)


def access_policy(
    port: int,
    token_prefixes: Iterable[str] = (),
    accepts_token: Callable[[str], bool] = lambda given: False,
    allowed_hosts: Iterable[str] = (),
) -> AccessPolicy:
    """Make the policy of one launch on 127.0.0.1:`port`, with fresh secrets of 256 bits each.

    `allowed_hosts` are further names, with their port unless it is the scheme's own, by which browsers reach it:
    a tunnel's end or a reverse proxy, which may speak https.
    """
    hosts = frozenset({f"127.0.0.1:{port}", *allowed_hosts})
    further = {f"{scheme}://{host}" for scheme in ("http", "https") for host in allowed_hosts}
    return AccessPolicy(
        hosts=hosts,
        origins=frozenset({f"http://127.0.0.1:{port}"} | further),
        cookie=f"whetstone_{port}",  # cookies are shared by all ports of a host
        session=secrets.token_urlsafe(32),
        tokens=MappingProxyType({prefix: secrets.token_urlsafe(32) for prefix in token_prefixes}),
        accepts_token=accepts_token,
    )


class Guard:
    """ASGI application in front of another; must be the outermost."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self.app = app
        self.policy = policy
        self._added: Headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the policy allows; refuse the rest with 403, a websocket before it is accepted."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        judgement = judge(self.policy, scope)
        if judgement == "pass":
            headers = [(name, value) for name, value in scope["headers"] if not _is_forwarding(name)]
            await self.app({**scope, "headers": headers}, receive, self._with_headers(send, self.policy.content_policy))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif judgement == "start":
            await self._let_in(self._with_headers(send, _NOTHING), _page(scope))
        else:
            await _answer(
                self._with_headers(send, _NOTHING), 403, [(b"content-type", b"text/plain; charset=utf-8")], _REFUSAL
            )

    async def _let_in(self, send: Send, page: str) -> None:
        cookie = f"{self.policy.cookie}={self.policy.session}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, [(b"location", page.encode()), (b"set-cookie", cookie.encode())], b"")

    def _with_headers(self, send: Send, content_policy: str) -> Send:
        added = [*self._added, (b"content-security-policy", content_policy.encode())]
        names = {name for name, _ in added}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        return sending


def judge(policy: AccessPolicy, scope: Scope) -> Literal["pass", "start", "refuse"]:
    """Decide by headers alone; `start` means a start key was just used up and a session cookie is due."""
    headers = _headers(scope["headers"])
    if headers is None or not _is_from_here(policy, headers, scope["type"]):
        return "refuse"
    if scope["type"] == "http" and scope["path"] == START_PATH:
        return "start" if scope["method"] == "GET" and _redeems_key(policy, scope) else "refuse"
    if _has_cookie(policy, headers.get(b"cookie", b"")) or _has_token(policy, headers, scope["path"]):
        return "pass"
    return "refuse"


def _headers(raw: Headers) -> dict[bytes, bytes] | None:
    """Headers by lower-case name; None if one that decides is there twice."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        lower = name.lower()
        if lower in found and lower in _ONLY_ONCE:
            return None
        found[lower] = value
    return found


def _is_from_here(policy: AccessPolicy, headers: dict[bytes, bytes], kind: str) -> bool:
    origin = headers.get(b"origin")
    if headers.get(b"host", b"").decode("latin-1") not in policy.hosts:
        return False
    if origin is None and kind == "websocket":
        return False
    if origin is not None and origin.decode("latin-1") not in policy.origins:
        return False
    return headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")


def _redeems_key(policy: AccessPolicy, scope: Scope) -> bool:
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key", [])
    return len(given) == 1 and policy.keys.redeem(given[0])


def _page(scope: Scope) -> str:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("page", ["/"])[0]
    return asked if asked in _PAGES else "/"


def _has_cookie(policy: AccessPolicy, cookies: bytes) -> bool:
    name = policy.cookie + "="
    values = [part.strip() for part in cookies.decode("latin-1").split(";")]
    return any(_same(policy.session, value[len(name) :]) for value in values if value.startswith(name))


def _has_token(policy: AccessPolicy, headers: dict[bytes, bytes], path: str) -> bool:
    scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        return False
    if any(_same(token, given) and path.startswith(prefix) for prefix, token in policy.tokens.items()):
        return True
    return path.startswith(API_PREFIXES) and policy.accepts_token(given)


def _same(secret: str, given: str) -> bool:
    """Compare in a time that tells nothing about the secret."""
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))


def _is_forwarding(name: bytes) -> bool:
    """Headers of reverse proxies: there is none, and NiceGUI would trust them."""
    return name.lower().startswith(b"x-forwarded-") or name.lower() in (b"forwarded", b"x-real-ip")


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = str(len(body)).encode()
    headers = [*headers, (b"cache-control", b"no-store"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
