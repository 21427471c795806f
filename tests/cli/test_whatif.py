"""`schmelz whatif` and `schmelz call-planner`: the contract of the commands."""

import json
from pathlib import Path

import pytest

from portal.award import project
from schmelz.operate import meter
from schmelz.portal.calls import actions
from schmelz.portal.clock import now
from schmelz.units import iso


@pytest.fixture
def factory_file() -> Path:
    return Path(__file__).parents[2] / "factory.toml"


@pytest.fixture
def codes(cast) -> list[str]:
    made = [
        actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers()) for _ in range(2)
    ]
    return [one.code for one in made]


def test_awards_may_follow_the_option_or_repeat_it(run, codes: list[str]) -> None:
    found = [
        json.loads(run("whatif", *words, "--seeds", "2", "--json", person="gilles").out)
        for words in (["--award", *codes], ["--award", codes[0], "--award", codes[1]], ["--award", ",".join(codes)])
    ]
    for one in found:
        del one["as_of"]
    assert [award["application"] for award in found[0]["awards"]] == codes
    assert found[0]["seeds"] == 2 and found[0].keys() >= {"today", "then", "assumed", "warnings", "window"}
    pool = found[0]["then"]["pools"][0]
    assert pool.keys() >= {"wait_mean_s", "wait_p95_s", "share_ppm", "unreachable_from", "promised"}
    assert pool["share_ppm"].keys() == {"median", "low", "high", "seeds"}


def test_as_tables_with_assumptions_aside(run, codes: list[str], tmp_path: Path) -> None:
    done = run(
        "whatif",
        "--award",
        codes[0],
        "--nodes",
        "300",
        "--seeds",
        "1",
        "--pdf",
        str(tmp_path / "w.pdf"),
        person="gilles",
    )
    assert done.code == 0 and "mean wait" in done.out and "assumed: " in done.err and "300 nodes" in done.err
    assert max(map(len, done.out.splitlines())) <= 100
    assert (tmp_path / "w.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "name what would change"),
        (["--award", "a99999"], 2, "is not known"),
        (["--nodes", "1"], 2, "write 2 to"),
        (["--floor", "51"], 2, "write 0 to 50"),
        (["--outage", "mars:2027-01-01..2027-01-02"], 2, "is no site"),
        (["--nodes", "300", "--seeds", "0"], 2, "write 1 to 200"),
        (["--nodes", "300", "--window", "1999"], 2, "window"),
        (["--nodes", "300", "--window", "2020"], 2, "is over"),
        (["--nodes", "300", "--system", "none"], 2, "is not known"),
        (["--nodes", "300", "--pdf", "/nowhere/x.pdf", "--seeds", "1"], 2, "cannot be written"),
    ],
)
def test_what_cannot_be_asked(run, cast, words: list[str], code: int, said: str) -> None:
    done = run("whatif", *words, person="gilles")
    assert (done.code, done.out) == (code, "") and said in done.err, done


def test_one_that_is_decided_is_refused(run, cast, codes: list[str]) -> None:
    actions.withdraw(cast.factory, codes[0], cast.anna)
    done = run("whatif", "--award", codes[0], person="gilles")
    assert done.code == 4 and "withdrawn already" in done.err
    assert run("whatif", "--nodes", "300", person="anna").code == 4
    assert run("call-planner", person="anna").code == 4


def test_the_call_planner(run, cast) -> None:
    data = json.loads(run("call-planner", "--json", person="gilles").out)
    assert [pool["pool"] for pool in data["pools"]] == [pool.id for pool in cast.system.pools]
    first = data["pools"][0]
    assert first["call_for_gpu_hours"] * 3600 >= first["need_gpu_s"] - first["expected_gpu_s"] > 0
    assert first["runs_dry"][:10] <= iso(2**32)[:10] and first["window"]["alarm"] in ("none", "ahead", "lost")
    done = run("call-planner", person="gilles")
    assert "call for" in done.err and "The next 90 days, in GPU-hours" in done.out


def test_policies_side_by_side_need_a_past(run, cast, tmp_path: Path) -> None:
    done = run("policies", person="gilles")
    assert done.code == 4 and "no job of the pools" in done.err
    assert run("policies", "--days", "0", person="gilles").code == 2
    code = project(cast).code
    lines = ["JobIDRaw|Cluster|User|Account|State|Submit|Start|End|ElapsedRaw|Timelimit|AllocTRES|NNodes|NodeList"]
    for job in range(30):
        times = [iso(now() - 9 * 86400 + 600 * (job + wait))[:19] for wait in (0, 1, 7)]
        lines.append(
            f"{job}|local|anna|{code}|COMPLETED|{'|'.join(times)}|3600|02:00:00|gres/gpu=252,node=63|63|mxb[001-063]"
        )
    meter.read_text(("\n".join(lines) + "\n").encode(), "past", cast.system)
    data = json.loads(run("policies", "--days", "30", "--json", person="gilles").out)
    assert data["jobs"] == 30 and [one["policy"] for one in data["policies"]] == [
        "deficit",
        "fairshare",
        "partition",
        "easy",
    ]
    waits = {one["policy"]: one["machine"]["wait_mean_s"]["median"] for one in data["policies"]}
    assert waits["partition"] > waits["deficit"] == waits["easy"] > 0, "one pool has half of each site, or all of it"
    path = tmp_path / "p.pdf"
    assert (
        run("policies", "--days", "30", "--pdf", str(path), person="gilles").code == 0 and path.stat().st_size > 20_000
    )


def test_the_twin_of_a_trace_on_paper(run, tmp_path: Path) -> None:
    path = tmp_path / "t.pdf"
    words = ("--generate", "200", "--gpus", "16", "--policy", "deficit,easy", "--pdf")
    assert run("twin", *words, str(path)).code == 0 and path.read_bytes().startswith(b"%PDF")
    assert "cannot be written" in run("twin", *words, "/nowhere/t.pdf").err
