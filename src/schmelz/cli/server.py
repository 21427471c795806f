"""The serving process: gunicorn with a few threads, and beside it one process that runs the duties.

When the serving process is killed, its workers and the duties notice and end by themselves; jobs go on. Nothing that was
acknowledged is lost: it was committed before the answer left.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from schmelz.faults import BadInput, Refused

PATIENCE = 8  # seconds that a port may still be held by a server that was just stopped


def check_address(host: str, port: int) -> None:
    """Raise BadInput when the address cannot be bound within a few seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
            return
        except socket.gaierror:
            raise BadInput(f"--host: {host!r} is no address of this machine; write for example 127.0.0.1") from None
        except OSError as error:
            if time.monotonic() > deadline:
                raise BadInput(
                    f"--port: {host}:{port} cannot be used ({error.strerror}); choose another port"
                ) from None
            time.sleep(0.2)


def check_engine(host: str) -> None:
    """The built-in cluster runs processes on this machine: it is for trying out, and served on loopback only."""
    from schmelz.operate.cluster import running_systems

    address = socket.gethostbyname(host) if ":" not in host else host
    local = [system.id for system in running_systems() if system.cluster.backend == "local"]
    if local and not ipaddress.ip_address(address).is_loopback:
        raise Refused(
            f"{', '.join(local)} runs jobs on this machine itself, so it is served on loopback only.",
            'Serve on 127.0.0.1, or give the system a real cluster (backend = "slurm").',
        )


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn, configured by us alone: no file and no environment of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for key, value in self.options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        from schmelz.web.wsgi import application

        return application


def serve(host: str, port: int) -> None:
    """Serve until stopped."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    Server(
        {
            "bind": bind,
            "workers": 2,
            "threads": 4,
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": 5,
            "loglevel": "warning",
            "when_ready": lambda _: threading.Thread(target=_keep_duties, daemon=True).start(),
        }
    ).run()


def _keep_duties() -> None:
    """Run the duties in a process of their own, and again when it ends while we still serve."""
    while True:
        subprocess.Popen([sys.executable, "-m", "schmelz.cli", "duties", "--parent", str(os.getpid())]).wait()
        time.sleep(1)
