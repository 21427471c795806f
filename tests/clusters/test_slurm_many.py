"""Commands that share a process: which do, that none is lost, and what is said when one of them fails."""

import stat
from pathlib import Path

import pytest

from schmelz.cluster.backends import slurm_many as many
from schmelz.cluster.model import ClusterError


def budget(name: str, minutes: int = 5) -> many.Command:
    where = ("sacctmgr", "-i", "modify", "account", "where", f"name={name}", "cluster=c")
    return (*where, "set", f"GrpTRESMins=gres/gpu={minutes}")


def test_few_commands_are_a_process_each() -> None:
    few = [budget(f"p{n}") for n in range(many.AT_ONCE)]
    assert many.calls(few) == [many.Call(command) for command in few]
    assert many.calls([]) == []


@pytest.mark.parametrize("number", [65, 128, 1000])
def test_many_share_processes_and_none_is_lost(number: int) -> None:
    found = many.calls([budget(f"p{n}", n) for n in range(number)])
    assert len(found) == many.AT_ONCE and {call.argv for call in found} == {("sacctmgr", "-i")}
    lines = [line for call in found for line in call.text.splitlines()]
    assert sorted(lines) == sorted(" ".join(budget(f"p{n}", n)[2:]) for n in range(number))
    assert [call.commands for call in found] == [len(call.text.splitlines()) for call in found]
    assert max(call.commands for call in found) - min(call.commands for call in found) <= 1


def test_what_cannot_be_a_line_has_a_process_of_its_own() -> None:
    """Lists that sacctmgr would cut, words that it would take apart, other programs."""
    long = budget(",".join(f"p{n:06}" for n in range(600)))
    odd = [long, ("sacctmgr", "-i", "add", "account", "x", "Description=a b"), ("scontrol", "show", "config")]
    found = many.calls([*odd, *(budget(f"p{n}") for n in range(70))])
    assert [call.argv for call in found[:3]] == odd
    assert sum(call.commands for call in found[3:]) == 70 and len(found) == 3 + many.AT_ONCE


def test_a_failing_line_fails_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sacctmgr"
    program.write_text(f"#!/bin/sh\ntee -a {tmp_path}/lines | grep -q name=p7 || exit 0\necho lost >&2; exit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    many.carry_out([[budget(f"q{n}") for n in range(100)]])
    assert len((tmp_path / "lines").read_text().splitlines()) == 100
    with pytest.raises(ClusterError) as fault:
        many.carry_out([[budget(f"{'p' if n == 7 else 'q'}{n}") for n in range(100)], [budget("later")]])
    assert str(fault.value) == (
        "98 commands were done, 2 failed and 1 were not begun; first failure: sacctmgr -i failed (exit status 1): lost"
    )
