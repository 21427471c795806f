"""A whole factory in its own directory, served by `schmelz up --demo`, and a browser that may not leave it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build/screenshots"
CHROMIUM = shutil.which("chromium")
PATIENCE = 120
QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@dataclass
class Served:
    """The running factory: its address, and the command line over the same data."""

    address: str
    data: Path

    def schmelz(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "schmelz.cli", "--data", self.data, *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=ROOT,
            env=_environment(),
        )
        assert done.returncode == 0, (words, done.stdout[-800:], done.stderr[-800:])
        return done.stdout


@dataclass
class Window:
    """A person's browser window, and what went wrong in it."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        response = self.page.goto(self.address + path)
        assert response is not None and response.status == 200, (path, response and response.status)
        return self.page

    def sign_in(self, handle: str) -> None:
        self.open("/sign-in")
        self.page.get_by_label("Handle").fill(handle)
        self.page.get_by_label("Password").fill(f"{handle}-demo")
        self.page.get_by_role("main").get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def keep(self, name: str) -> None:
        """A picture of the page, which must not be wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0, f"{name}: the page scrolls sideways"
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("SCHMELZ_", "DJANGO_"))}


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("factory")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (data / "up.log").open("wb")
    command = [sys.executable, "-m", "schmelz.cli", "--data", data, "up", "--demo", "--port", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=_environment())
    try:
        _wait(f"http://127.0.0.1:{port}/calls", server, data / "up.log")
        yield Served(f"http://127.0.0.1:{port}", data)
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the server did not come up: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser, served: Served) -> Iterator[Callable[..., Window]]:
    """Opens windows; at the end none of them may have asked for anything outside, or met an error of the page."""
    opened: list[Window] = []

    def make(width: int = 1280, **options: object) -> Window:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        new = Window(context.new_page(), served.address)
        context.route("**/*", lambda route: _stay(route, new))
        new.page.on("pageerror", lambda error: new.wrong.append(f"script: {error}"))
        new.page.on("console", lambda line: new.wrong.append(f"console: {line.text}") if line.type == "error" else None)
        opened.append(new)
        return new

    yield make
    for one in opened:
        one.page.context.close()
    assert [line for one in opened for line in one.wrong] == []


def _stay(route: Route, window: Window) -> None:
    if urlsplit(route.request.url).hostname == "127.0.0.1":
        route.continue_()
    else:
        window.wrong.append(f"outside: {route.request.url}")
        route.abort()
