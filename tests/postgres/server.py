"""A PostgreSQL of Debian's package in a directory of its own, on a Unix socket that only its owner reaches.

    with Server() as server: server.make("name")     # the address of a new database
    python tests/postgres/server.py COMMAND ...      # the command, with such a database in SCHMELZ_DATABASE

initdb refuses root, so root runs everything as the package's user `postgres`. fsync is off: it holds nothing that counts.
The server ends with the process that started it, and takes its directory along.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "lc_messages": "C",
}


def installed() -> bool:
    return bool(PLACES)


class Server:
    """Started on entering, gone on leaving."""

    def __init__(self) -> None:
        self.bin = PLACES[-1].parent
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.directory = Path(tempfile.mkdtemp(prefix="schmelz-pg-", dir="/tmp"))

    def __enter__(self) -> "Server":
        if self.owner:
            os.chown(self.directory, self.owner["user"], self.owner["group"])
        data = self.directory / "data"
        try:
            self._run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8")
            options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", self.bin / "postgres", "-D", data, "-k", self.directory, *options],
                stderr=(self.directory / "log").open("wb"),
                cwd=self.directory,
                **self.owner,
                start_new_session=True,
            )
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@{quote(str(self.directory), safe='')}/{name}"

    def make(self, name: str, template: str = "template0") -> str:
        """A new database; its address."""
        self._run("createdb", "-h", self.directory, "-U", "postgres", "-T", template, name)
        return self.url(name)

    def _run(self, program: str, *words: object) -> None:
        done = subprocess.run(
            [self.bin / program, *map(str, words)],
            capture_output=True,
            text=True,
            cwd=self.directory,
            **self.owner,
            timeout=60,
        )
        assert done.returncode == 0, (program, done.stdout, done.stderr)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            if not subprocess.call([self.bin / "pg_isready", "-q", "-h", self.directory]):
                return
            time.sleep(0.05)
        raise RuntimeError((self.directory / "log").read_text())


def main(words: list[str]) -> int:
    if not installed():
        print("NOT INSTALLED: postgresql; its tests are skipped (tests/packages.sh installs it)", file=sys.stderr)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Server() as server:
        address = server.url("postgres")
        return subprocess.call(words, env={**os.environ, "SCHMELZ_DATABASE": address, "SCHMELZ_TESTS_ON": address})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
