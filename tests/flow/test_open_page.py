"""What an open page looks after by itself."""

import http.cookiejar
import urllib.request

from tests.flow.bench import Bench
from tests.flow.program import Program


def test_an_open_page_starts_the_supervisor_again_while_jobs_wait(bench: Bench) -> None:
    program = Program("--browser")
    try:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        browser.open(program.link(), timeout=30).read()
        at_work, waiting = bench.submit("steps=100000"), bench.submit("steps=2")
        bench.until_step(at_work, 1)
        before = bench.supervisor_pid()
        bench.kill_supervisor()
        bench.until(lambda: bench.supervisor_pid() not in (None, before), "another supervisor is at work")
        bench.worker(at_work).kill()
        bench.until_ended(waiting)
    finally:
        program.close()
