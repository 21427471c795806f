"""Kill -9 of the server, twenty times, at any moment: nothing that was acknowledged is lost, nothing is done twice."""

import http.client
import http.cookiejar
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
KILLS = 20
PEOPLE = """
import django; django.setup()
from people import cast
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
cast(factory())
anna = Person.objects.get(handle="anna"); anna.set_password("anna-demo"); anna.save()
"""
pytestmark = pytest.mark.slow


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Portal:
    """A server in a process group of its own, and a browser-like client that stays signed in."""

    def __init__(self, data: Path) -> None:
        self.env = {
            **os.environ,
            "SCHMELZ_DATA": str(data),
            "SCHMELZ_FACTORY": str(ROOT / "factory.toml"),
            "DJANGO_SETTINGS_MODULE": "schmelz.portal.settings",
            "PYTHONPATH": str(ROOT / "tests"),
        }
        self.port, self.log = _free_port(), data.parent / "up.log"
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def command(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "schmelz.cli", *words], env=self.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "schmelz.cli", "up", "--port", str(self.port)],
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.get("/sign-in")
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def get(self, path: str) -> str:
        with self.opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def post(self, path: str, page: str, **fields: str) -> str:
        """Send a form that stands on `page`; the address that the answer led to."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page))
        assert token
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        with self.opener.open(f"http://127.0.0.1:{self.port}{path}", body, timeout=20) as answer:
            return urllib.parse.urlsplit(answer.url).path


@pytest.fixture
def portal(tmp_path: Path) -> Portal:
    portal = Portal(tmp_path / "data")
    portal.command("person", "list")
    subprocess.run([sys.executable, "-c", PEOPLE], env=portal.env, check=True, timeout=60)
    return portal


def _project(portal: Portal, tmp_path: Path) -> str:
    form = json.loads(portal.command("application", "form", "--mode", "playground"))
    form.update(title="Voice models", summary="Fine-tuning of open speech models.")
    (tmp_path / "form.json").write_text(json.dumps(form))
    code = portal.command(
        "--as", "anna", "application", "new", "--mode", "playground", "--from", str(tmp_path / "form.json")
    )
    portal.command("--as", "signer0", "decision", "propose", code, "--gpu-hours", "5000", "--because", "fits")
    project = portal.command("--as", "signer1", "decision", "sign", code).split()[-1]
    portal.command("--as", "gilles", "apply")
    return project


def test_nothing_acknowledged_is_lost(portal: Portal, tmp_path: Path) -> None:
    project, chance = _project(portal, tmp_path), random.Random(7)
    jobs: list[str] = []
    asked: list[str] = []
    portal.start()
    portal.post("/sign-in", "/sign-in", handle="anna", password="anna-demo")
    for kill in range(KILLS):
        if kill:
            portal.start()
        until = time.monotonic() + chance.uniform(0.05, 1.2)
        _work(portal, project, until, jobs, asked)
    assert len(set(jobs)) == len(jobs) >= KILLS // 2 and len(asked) >= KILLS // 4
    for _ in range(60):
        shown = json.loads(portal.command("--as", "anna", "jobs", "--project", project, "--json"))
        if all(job["state"] not in ("PENDING", "RUNNING") for job in shown):
            break
        time.sleep(0.5)
    states = {job["job"]: job["state"] for job in shown}
    assert set(jobs) <= set(states) and set(states.values()) == {"COMPLETED"}, states
    applications = {a["id"] for a in json.loads(portal.command("--as", "anna", "application", "list", "--json"))}
    assert set(asked) <= applications
    portal.command("meter")
    rows = json.loads(portal.command("usage", "--by", "project", "--json"))
    assert [(row["project"], row["runs"]) for row in rows] == [(project, len(states))]
    assert json.loads(portal.command("doctor", "--json"))[3]["state"] == "ok"
    portal.command("export", str(tmp_path / "proof"))
    portal.command("verify", str(tmp_path / "proof"))


def _work(portal: Portal, project: str, until: float, jobs: list[str], asked: list[str]) -> None:
    """Submit jobs and applications until the server is killed, from another process, at `until`."""
    wait = max(0.0, until - time.monotonic())
    killer = subprocess.Popen(
        [sys.executable, "-S", "-c", f"import os, time; time.sleep({wait}); os.killpg({portal.process.pid}, 9)"]
    )
    try:
        while True:
            jobs.append(
                portal.post(
                    f"/projects/{project}/submit",
                    f"/projects/{project}/submit",
                    script="#!/bin/sh\ntrue\n",
                    gpus="1",
                    minutes="2",
                ).rsplit("/", 1)[-1]
            )
            asked.append(
                portal.post(
                    "/calls/playground/apply",
                    "/calls/playground/apply",
                    title="Another one",
                    summary="Fine-tuning of open speech models.",
                    gpu_hours="100",
                    months="1",
                ).rsplit("/", 1)[-1]
            )
    except (OSError, http.client.HTTPException):
        pass
    finally:
        killer.wait()
        portal.process.wait()
