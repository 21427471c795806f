"""The command `schmelz twin`: its options, what it prints, what it writes, and every way in which a trace can be bad."""

import csv
import gzip
import json
import resource
from pathlib import Path

import pytest

from schmelz.twin.generator import as_swf, generated
from twin.traces import path_of

HEADER = "job,submit,run,gpus,vc,user,limit\n"
KEYS = {
    "jobs", "mean_wait_s", "max_wait_s", "mean_bounded_slowdown", "utilisation", "jobs_per_s", "compile_s", "pools",
    "modes", "projects", "sites", "sizes", "rules", "dropped", "clipped",
}  # fmt: skip


def line(job: int, submit: int, run: int, size: int, estimate: int = -1, given: int = -1, group: int = 1) -> str:
    return f"{job} {submit} -1 {run} {given} -1 -1 {size} {estimate} -1 1 {group} {group} -1 1 1 -1 -1\n"


@pytest.fixture
def log(tmp_path: Path):
    """Writes a trace and gives its path."""

    def write(text: str | bytes, name: str = "log.swf") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def figures(run, *words: object) -> dict:
    code, out, err = run(*words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_figures_of_a_small_trace(run, log) -> None:
    """Four GPUs: the second waits for the first, the third overtakes under EASY and not under FCFS."""
    path = log("; a header\n" + line(1, 0, 100, 3, 100) + line(2, 10, 50, 4, 50) + line(3, 20, 80, 1, 80))
    easy = figures(run, path, "--gpus", 4)
    assert easy.keys() >= KEYS
    assert (easy["jobs"], easy["mean_wait_s"], easy["max_wait_s"]) == (3, 30, 90)
    assert easy["mean_bounded_slowdown"] == pytest.approx((1 + 140 / 50 + 1) / 3)
    assert easy["utilisation"] == (300 + 200 + 80) / (4 * 150)
    fcfs = figures(run, path, "--gpus", 4, "--policy", "fcfs")
    assert (fcfs["mean_wait_s"], fcfs["max_wait_s"]) == ((90 + 130) / 3, 130)


def test_rules_for_sizes_estimates_and_runs(run, log) -> None:
    text = line(1, 0, 100, 2, 60, given=3) + line(2, 0, 10, -1, -1, given=9) + line(3, 0, 10, 0) + line(4, 0, 0, 1)
    path = log(text)
    found = figures(run, path, "--gpus", 8)
    assert (found["jobs"], found["dropped_no_size"], found["dropped_no_run"], found["clipped"]) == (2, 1, 1, 1)
    assert (found["other_size"], found["no_estimate"], found["overruns"]) == (1, 1, 1)
    assert found["gpu_s"] == 2 * 60 + 8 * 10
    assert figures(run, path, "--gpus", 8, "--overrun", "extend")["gpu_s"] == 2 * 100 + 8 * 10
    assert figures(run, path, "--gpus", 8, "--size", "allocated")["gpu_s"] == 3 * 60 + 8 * 10
    assert any("tau" in rule or "bounded at 10 s" in rule for rule in found["rules"])


@pytest.mark.parametrize(
    ("words", "start"), [("exact", 60), ("factor=1", 60), ("factor=2", 110), ("factor", 110), ("history", 110)]
)
def test_missing_estimates(run, log, tmp_path, words: str, start: int) -> None:
    """The last job, of 40 s, goes before the one of four GPUs at 100 s only if its estimate lets it."""
    rows = "1,0,100,3,a,u,100\n2,0,60,1,a,v,60\n3,1,10,4,a,w,10\n4,2,40,1,a,v,\n"
    path, starts = log(HEADER + rows, "log.csv"), tmp_path / "starts.csv"
    figures(run, path, "--gpus", 4, "--estimates", words, "--starts", starts)
    assert int([row["start"] for row in csv.DictReader(starts.open())][3]) == start


@pytest.mark.parametrize("words", ["guess", "factor=0.5", "factor=nan", "exact=2", "factor=x"])
def test_missing_estimates_in_no_known_way(run, log, words: str) -> None:
    assert run(log(line(1, 0, 10, 1)), "--gpus", 4, "--estimates", words)[0] == 2


def test_warm_up_and_tau(run, log) -> None:
    path = log(line(1, 0, 100, 1, 100) + line(2, 5, 1, 1, 1) + line(3, 200, 5, 1, 5))
    assert figures(run, path, "--gpus", 1)["mean_bounded_slowdown"] == pytest.approx((1 + 96 / 10 + 1) / 3)
    assert figures(run, path, "--gpus", 1, "--tau", 1)["mean_bounded_slowdown"] == pytest.approx((1 + 96 + 1) / 3)
    late = figures(run, path, "--gpus", 1, "--warm-up", 100)
    assert (late["jobs"], late["warm_up_jobs"], late["mean_wait_s"], late["utilisation"]) == (1, 2, 0, 1)
    assert run(path, "--gpus", 1, "--warm-up", 201)[0] == 2


def test_starts_of_every_job(run, log, tmp_path) -> None:
    starts = tmp_path / "starts.csv"
    rows = HEADER + "x,0,100,3,a,u,100\ny,10,50,2,b,u,50\n"
    words = ("--policy", "deficit", "--pools", "a=left,b=right", "--sites", "n=3,s=3")
    figures(run, log(rows, "log.csv"), "--gpus", 6, "--starts", starts, *words)
    assert starts.read_text() == ("job,submit,start,end,site,pool,borrowed\nx,0,0,100,n,left,0\ny,10,10,60,s,right,0\n")


def test_gzip_whatever_the_name(run, log) -> None:
    packed = gzip.compress((line(1, 0, 10, 1) * 1).encode())
    assert figures(run, log(packed, "no-name-at-all"), "--gpus", 1)["jobs"] == 1


@pytest.mark.parametrize("again", [("--policy", "fcfs,easy"), ("--policy", "fcfs", "--policy", "easy")])
def test_several_policies_compare(run, log, again: tuple[str, ...]) -> None:
    found = figures(run, log(line(1, 0, 10, 1)), "--gpus", 1, *again)
    assert [one["policy"] for one in found["policies"]] == ["fcfs", "easy"]
    code, out, err = run(log(line(1, 0, 10, 1)), "--gpus", 1, *again)
    assert code == 0
    assert "fcfs" in out
    assert "rule: equal submissions keep the order of the file" in err


@pytest.mark.parametrize("form", ["text", "json", "lines", "list"])
def test_maps_of_pools(run, log, form: str) -> None:
    text = {
        "text": "a=left,b=right",
        "json": '{"a": "left", "b": "right"}',
        "lines": "vc,pool\na,left\n# more\nb,right\n",
        "list": 'left = ["a"]\nright = ["b"]\n',
    }[form]
    given = text if form in ("text", "json") else log(text, "map.toml" if form == "list" else "map.csv")
    rows = HEADER + "1,0,10,1,a,u,\n2,0,10,2,b,u,\n3,0,10,1,c,u,\n"
    found = figures(run, log(rows, "log.csv"), "--gpus", 4, "--pools", given, "--policy", "deficit")
    assert [(p["pool"], p["jobs"], p["gpu_s"]) for p in found["pools"]] == [
        ("left", 1, 10), ("right", 1, 20), ("other", 1, 10),
    ]  # fmt: skip


def test_two_halves_of_a_real_log(run) -> None:
    path = path_of("philly-early.csv.gz")
    clusters = sorted({row["vc"] for row in csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines())})
    halves = ",".join(f"{vc}={'east' if number % 2 else 'west'}" for number, vc in enumerate(clusters))
    found = figures(run, path, "--gpus", 1008, "--pools", halves, "--policy", "deficit,partition,fairshare,easy")
    for one in found["policies"]:
        assert sum(pool["jobs"] for pool in one["pools"]) == one["jobs"] == 48_280
        assert sum(pool["gpu_s"] for pool in one["pools"]) == one["gpu_s"]
        assert sum(pool["used_gpu_s"] for pool in one["pools"]) == one["used_gpu_s"] == one["gpu_s"]
    waits = {one["policy"]: one["mean_wait_s"] for one in found["policies"]}
    assert waits["deficit"] < waits["partition"]  # lending pays


def test_groups_add_up(run, log) -> None:
    rows = HEADER + "".join(f"{n},{n},{10 + n},{1 + n % 5},{'ab'[n % 2]},u{n % 3},\n" for n in range(60))
    words = ("--modes", "u0=dev,u1=large,u2=large", "--pools", "a=x,b=y", "--policy", "deficit")
    found = figures(run, log(rows, "log.csv"), "--gpus", 6, *words)
    for kind in ("pools", "modes", "projects", "sites", "sizes"):
        assert sum(group["jobs"] for group in found[kind]) == 60
        assert sum(group["gpu_s"] for group in found[kind]) == found["gpu_s"]
        assert max(group["max_wait_s"] for group in found[kind]) == found["max_wait_s"]
    assert [one["gpus"] for one in found["sizes"]] == [1, 2, 4]


LAYOUT = """
floor_percent = 10
minimum_run = "0s"
marked = ["a"]
[sites]
n = 4
s = 4
[weights]
x = 3
y = 1
[partitions]
fast = ["s"]
[[outages]]
site = "n"
gpus = 4
start = 0
end = 500
announced = true
[[budgets]]
owner = "b"
gpu_s = 100
pacing = "monthly"
"""


def test_layout_of_the_machine(run, log, tmp_path) -> None:
    """The first site is away, so all run at the second; b's second job waits for its next month."""
    rows = HEADER + "1,0,50,4,a,fast,50\n2,1,25,4,b,fast,25\n3,2,25,4,b,fast,25\n"
    starts = tmp_path / "starts.csv"
    words = ("--layout", log(LAYOUT, "machine.toml"), "--pools", "a=x,b=y", "--policy", "deficit", "--starts", starts)
    found = figures(run, log(rows, "log.csv"), *words)
    assert (found["gpus"], [pool["weight"] for pool in found["pools"]]) == (8, [3, 1])
    rows = list(csv.DictReader(starts.open()))
    assert [(row["start"], row["site"]) for row in rows] == [("0", "s"), ("50", "s"), ("2592000", "s")]
    assert [row["borrowed"] for row in rows] == ["1", "0", "0"]
    code, _, err = run(log("x", "log.csv"), "--layout", log(LAYOUT.replace("x = 3", "x = 0"), "bad.toml"), "--gpus", 8)
    assert code == 2
    assert "bad.toml:9: weights.x" in err


def test_a_system_of_the_factory(run, log) -> None:
    header = "JobIDRaw|Account|User|Partition|State|Submit|Start|End|ElapsedRaw|AllocTRES|NNodes|NodeList|Timelimit\n"
    day = "2026-03-02T08:00:00"
    rows = [f"{n}|{a}|u|gpu|COMPLETED|{day}|{day}|2026-03-02T08:10:00|600|gres/gpu=4|1|x|01:00:00\n"
            for n, a in enumerate(("ehpc-1", "nat-1"), 1)]  # fmt: skip
    found = figures(run, log(header + "".join(rows), "log.sacct"), "--system", "meluxina-ai", "--policy", "deficit")
    assert (found["gpus"], [site["site"] for site in found["sites"]]) == (1008, ["bissen", "bettembourg"])
    assert [(pool["pool"], pool["jobs"]) for pool in found["pools"]] == [("eurohpc", 1), ("national", 1)]


def test_made_up_jobs_are_the_same_for_the_same_seed(run, tmp_path) -> None:
    one, two, other = (tmp_path / name for name in ("one.swf", "two.swf", "other.swf"))
    got = []
    for path, seed in ((one, 7), (two, 7), (other, 8)):
        words = ("--weights", "x=1,y=1", "--policy", "deficit", "--save", path, "--starts", path.with_suffix(".csv"))
        found = figures(run, "--generate", 300, "--gpus", 32, "--seed", seed, *words)
        got.append({key: value for key, value in found.items() if key not in ("jobs_per_s", "compile_s")})
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    assert one.with_suffix(".csv").read_bytes() == two.with_suffix(".csv").read_bytes()
    assert got[0] == got[1] != got[2]
    again = figures(run, one, "--pools", "group1=x,group2=y", "--gpus", 32, "--policy", "deficit")
    assert again["mean_wait_s"] == got[0]["mean_wait_s"]
    assert one.read_text() == "".join(as_swf(generated(300, 32, seed=7, pools=("x", "y"))))


@pytest.mark.parametrize(
    "words",
    [
        ("--gpus", "0"), ("--gpus", "-5"), ("--gpus", "10000000000000"), ("--gpus", "many"), (),
        ("--gpus", "4", "--policy", "best"), ("--gpus", "4", "--policy", "easy,easy"), ("--gpus", "4", "--order", "x"),
        ("--gpus", "4", "--size", "x"), ("--gpus", "4", "--overrun", "x"), ("--gpus", "4", "--format", "x"),
        ("--gpus", "4", "--pools", "nobody=x"), ("--gpus", "4", "--pools", "/nowhere"), ("--gpus", "4", "--pools", "{"),
        ("--gpus", "4", "--starts", "/nowhere/starts.csv"), ("--gpus", "4", "--starts", "/"), ("--gpus", "4", "--tau", "0"),
        ("--gpus", "4", "--policy", "deficit", "--order", "serial"), ("--gpus", "4", "--generate", "10"),
        ("--gpus", "4", "--policy", "deficit", "--sites", "a=3"), ("--gpus", "4", "--sites", "a"),
        ("--gpus", "4", "--floor", "101"), ("--gpus", "4", "--half-life", "soon"), ("--gpus", "4", "--weights", "a=0"),
        ("--gpus", "4", "--system", "nothing"), ("--gpus", "4", "--map", "size"), ("--gpus", "4", "--layout", "/nowhere"),
    ],
)  # fmt: skip
def test_bad_options_end_with_2_and_words(run, log, words: tuple[str, ...]) -> None:
    code, out, err = run(log(line(1, 0, 10, 1)), *words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert 0 < len(err) < 2000


GOOD = line(1, 0, 10, 1)
BAD: dict[str, tuple[str, str | bytes]] = {
    "empty": ("log.swf", ""),
    "only a header": ("log.swf", "; nothing\n"),
    "half a gzip": ("log.swf.gz", gzip.compress(GOOD.encode() * 5000)[:-900]),
    "gzip without its end": ("log.swf.gz", gzip.compress(GOOD.encode())[:-4]),
    "gzip with a wrong sum": ("log.swf.gz", gzip.compress(GOOD.encode())[:-8] + b"\0" * 8),
    "binary": ("log.swf", bytes(range(256)) * 50),
    "binary by no name": ("log", bytes(range(1, 256)) * 50),
    "too few columns": ("log.swf", GOOD + "1 2 3\n"),
    "too many columns": ("log.swf", GOOD + GOOD.strip() + " 5\n"),
    "negative submit": ("log.swf", line(1, -5, 10, 1)),
    "negative run": ("log.swf", line(1, 0, -10, 1)),
    "negative size": ("log.swf", line(1, 0, 10, -7)),
    "out of order": ("log.swf", line(1, 100, 10, 1) + line(2, 99, 10, 1)),
    "huge number": ("log.swf", line(1, 0, 10**30, 1)),
    "huge size": ("log.swf", line(1, 0, 10, 10**18)),
    "huge text of digits": ("log.swf", GOOD.replace("10", "1" * 5000)),
    "not a number": ("log.swf", GOOD.replace("10", "nan")),
    "infinite": ("log.swf", GOOD.replace("10", "inf")),
    "a fraction": ("log.swf", GOOD.replace("10", "1.5")),
    "far apart": ("log.swf", line(1, 0, 10, 1) + line(2, 7_258_118_400, 7_258_118_400, 1)),
    "nothing can run": ("log.swf", line(1, 0, 0, 1)),
    "other csv": ("log.csv", "a,b\n1,2\n"),
    "csv without rows": ("log.csv", HEADER),
    "csv with a short row": ("log.csv", HEADER + "1,2\n"),
    "csv with a quote": ("log.csv", HEADER + '"1,2,3\n'),
    "csv with NaN": ("log.csv", HEADER + "1,NaN,10,1,a,u,\n"),
    "csv in latin": ("log.csv", (HEADER + "1,0,10,1,é,u,\n").encode("latin-1")),
    "csv out of order": ("log.csv", HEADER + "1,5,10,1,a,u,\n2,4,10,1,a,u,\n"),
    "other sacct": ("log.sacct", "a|b\n1|2\n"),
    "sacct with a bad row": ("log.sacct", "JobIDRaw|Account|Submit\n1|2\n"),
    "long line": ("log.swf", "1 " * 2_000_000),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("named", [True, False])
def test_bad_traces_get_one_line_and_2(run, log, what: str, named: bool) -> None:
    name, content = BAD[what]
    path = log(content, name)
    words = ("--format", name.split(".")[1]) if named and "." in name else ()
    code, out, err = run(path, "--gpus", 4, "--json", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert name in err
    assert len(err) < 400


def test_no_file_at_all(run, tmp_path) -> None:
    for path in (tmp_path, tmp_path / "nothing.swf"):
        code, out, err = run(path, "--gpus", 4)
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_memory_stays_bounded(run, tmp_path) -> None:
    """A line of 100 MB, and 200 MB of zeros in a small gzip, are refused before they are read whole."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    long, packed = tmp_path / "long.swf", tmp_path / "zeros.swf.gz"
    with long.open("wb") as file:
        file.truncate(100_000_000)
        file.write(b"1 2 3")
    with gzip.open(packed, "wb", 1) as file:
        for _ in range(200):
            file.write(b"7" * 1_000_000)
    for path in (long, packed):
        code, _, err = run(path, "--gpus", 4)
        assert (code, err.count("\n")) == (2, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
