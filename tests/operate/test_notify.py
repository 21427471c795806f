"""The outbox: letters wait without a relay, are handed to one that is there, and each only once."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from schmelz.faults import BadInput
from schmelz.operate.notify import send_waiting
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Letter


class Sink(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to hand over a letter."""

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append(body.decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


@pytest.fixture
def relay(monkeypatch) -> Iterator[list[str]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink) as server:
        server.taken = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("SCHMELZ_MAIL", f"127.0.0.1:{server.server_address[1]}")
        yield server.taken  # type: ignore[attr-defined]
        server.shutdown()


def test_without_a_relay_letters_wait(cast) -> None:
    write_letter(cast.anna, "Hello", "...", "x")
    assert (send_waiting(), Letter.objects.filter(sent=None).count()) == (0, 1)


def test_letters_are_handed_over_once(cast, relay) -> None:
    write_letter(cast.anna, "Awarded: a00001", "Dear Anna,\n4 000 GPU-hours: déjà là.\n", "x")
    assert (send_waiting(), send_waiting(), len(relay)) == (1, 0, 1)
    assert "To: anna@example.org" in relay[0] and "Subject: Awarded: a00001" in relay[0]
    assert Letter.objects.get().sent is not None


def test_a_relay_that_is_away_loses_nothing(cast, monkeypatch) -> None:
    write_letter(cast.anna, "Hello", "...", "x")
    monkeypatch.setenv("SCHMELZ_MAIL", "127.0.0.1:1")
    with pytest.raises(OSError, match="refused"):
        send_waiting()
    assert Letter.objects.filter(sent=None).count() == 1


@pytest.mark.parametrize("told", ["somewhere", ":25", "host:", "host:port"])
def test_a_relay_that_is_none(cast, monkeypatch, told) -> None:
    monkeypatch.setenv("SCHMELZ_MAIL", told)
    with pytest.raises(BadInput, match="SCHMELZ_MAIL"):
        send_waiting()
