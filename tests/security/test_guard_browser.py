"""A real browser: our own page works under its policy, and no other page gets a request through."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this computer")

# Each is tried from another origin, with the target's address in `base` and `ws`.
ATTACKS = {
    "fetch": "fetch(base + '/')",
    "fetch with cookies": "fetch(base + '/', {credentials: 'include'})",
    "fetch without cors": "fetch(base + '/', {mode: 'no-cors', credentials: 'include'})",
    "post": "fetch(base + '/api/v1/jobs', {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'})",
    "preflight": "fetch(base + '/api/v1/jobs', {method: 'POST', headers: {'Content-Type': 'application/json'}})",
    "delete": "fetch(base + '/api/v1/jobs', {method: 'DELETE', credentials: 'include'})",
    "xhr": "(() => {const x = new XMLHttpRequest(); x.withCredentials = true; x.open('GET', base); x.send()})()",
    "beacon": "navigator.sendBeacon(base + '/api/v1/jobs', 'x')",
    "img": "new Image().src = base + '/favicon.ico'",
    "script": "add('script', {src: base + '/api/v1/echo'})",
    "style": "add('link', {rel: 'stylesheet', href: base + '/api/v1/echo'})",
    "prefetch": "add('link', {rel: 'prefetch', href: base + '/'})",
    "frame": "add('iframe', {src: base + '/'})",
    "object": "add('object', {data: base + '/'})",
    "video": "add('video', {src: base + '/api/v1/echo', autoplay: true})",
    "form": "form(base + '/api/v1/jobs', 'post')",
    "form get": "form(base + '/', 'get')",
    "websocket": "new WebSocket(ws + '/_nicegui_ws/socket.io/?EIO=4&transport=websocket')",
    "events": "new EventSource(base + '/api/v1/echo', {withCredentials: true})",
    "polling": "fetch(base + '/_nicegui_ws/socket.io/?EIO=4&transport=polling', {credentials: 'include'})",
    "popup": "window.open(base + '/')",
    "go there": "setTimeout(() => location.href = base + '/', 300)",
}
_PAGE = b"""<!doctype html><title>other</title><body><script>
const add = (tag, what) => document.body.append(Object.assign(document.createElement(tag), what));
const form = (action, method) => { const f = Object.assign(document.createElement('form'), {action, method,
  target: '_blank'}); document.body.append(f); f.submit(); };
</script>"""


class _OtherSite(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def other_port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OtherSite)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def context() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        rules = "--host-resolver-rules=MAP evil.test 127.0.0.1"
        # Recent browsers defend local ports a little themselves; the guard must not need it.
        old = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", rules, old]
        )
        yield browser.new_context()
        browser.close()


def _enter(context: Any, guarded: Any) -> Any:
    page = context.new_page()
    page.goto(f"{guarded.origin}/start?key={guarded.new_key()}")
    page.get_by_role("button", name="Say").click()
    page.get_by_text("said", exact=True).wait_for()
    return page


def test_our_own_page_works_under_its_policy(guarded: Any, context: Any) -> None:
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    start = f"{guarded.origin}/start?key={guarded.new_key()}"
    page.goto(start)
    assert page.url == f"{guarded.origin}/"
    page.get_by_role("button", name="Open").click()
    page.get_by_text("in the dialog").wait_for()
    page.keyboard.press("Escape")
    page.locator("canvas").wait_for()
    page.reload()
    page.get_by_role("button", name="Say").click()
    page.get_by_text("said", exact=True).wait_for()
    assert page.evaluate("document.fonts.check('16px Material Icons')")
    assert complaints == []
    assert "WEBSOCKET /_nicegui_ws/socket.io/" in guarded.passed()
    assert page.evaluate("document.cookie") == ""
    assert page.request.get(start).status == 403


@pytest.mark.parametrize("site", ["http://evil.test:{port}", "http://127.0.0.1:{port}", "http://localhost:{port}"])
def test_no_other_page_gets_a_request_through(guarded: Any, context: Any, other_port: int, site: str) -> None:
    """The browser holds the session cookie; for pages of the same host, it even sends it."""
    ours = _enter(context, guarded)
    ours.goto("about:blank")
    ours.wait_for_timeout(300)
    guarded.passed()
    tried = []
    context.on("request", lambda request: tried.append(request.url) if f":{guarded.port}/" in request.url else None)
    page = context.new_page()
    page.goto(site.format(port=other_port))
    page.evaluate(
        "([base, ws]) => { window.base = base; window.ws = ws }", [guarded.origin, f"ws://127.0.0.1:{guarded.port}"]
    )
    for name, attack in ATTACKS.items():
        page.evaluate(f"() => {{ try {{ Promise.resolve({attack}).catch(() => 0) }} catch (e) {{ }} }}")
        page.wait_for_timeout(60 if name != "go there" else 900)
    assert len(tried) >= 15, tried
    assert guarded.passed() == []


def test_a_name_that_points_here_gets_nothing(guarded: Any, context: Any) -> None:
    """DNS rebinding: the page's own name leads to our port, so all is same-origin to the browser."""
    page = context.new_page()
    for path in ["/", f"/start?key={guarded.new_key()}", "/api/v1/echo"]:
        answer = page.goto(f"http://evil.test:{guarded.port}{path}")
        assert answer.status == 403
    # What the page was before its name came to point here.
    page.route("**/before", lambda route: route.fulfill(content_type="text/html", body="<p>before"))
    page.goto(f"http://evil.test:{guarded.port}/before")
    assert page.evaluate("fetch('/api/v1/echo').then(r => r.status)") == 403
    assert guarded.passed() == []
