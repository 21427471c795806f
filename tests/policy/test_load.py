"""Reading policy files: what cannot be read is said in one line; what can is the same however it is spelt."""

import json
import os
from pathlib import Path

import pytest

from schmelz.policy.load import PolicyError, digest, load, normalised, parse
from schmelz.policy.schema import Factory

REAL = (Path(__file__).parent.parent.parent / "factory.toml").read_text(encoding="utf-8")


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as refused:
        load(path)
    return refused.value.faults


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    absent, latin, large, nul = (tmp_path / name for name in ("absent.toml", "latin.toml", "large.toml", "nul\0.toml"))
    latin.write_bytes("a = 1\nname = 'Linköping'\n".encode("latin-1"))
    large.write_bytes(b"#" * 1_000_001)
    assert faults(absent) == (f"{absent}: there is no such file; name one with --factory FILE or SCHMELZ_FACTORY",)
    assert faults(tmp_path) == (f"{tmp_path}: is a directory; name the file in it",)
    assert faults(latin) == (f"{latin}:2: is not UTF-8; save the file in UTF-8",)
    assert faults(large) == (f"{large}: is larger than 1,000,000 bytes; this is no policy file",)
    assert faults(nul) == (f"{nul}: cannot be read: embedded null byte; check the path and its permissions",)
    assert faults(Path(os.devnull))[0].startswith(f"{os.devnull}:1: categories: is missing")


def test_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path, factory_file: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_bytes(b"\xef\xbb\xbf" + factory_file.read_bytes().replace(b"\n", b"\r\n"))
    assert load(copy) == load(factory_file)


def test_normalised_round_trips(factory_file: Path) -> None:
    factory = load(factory_file)
    again = Factory.model_validate_json(json.dumps(normalised(factory)))
    assert again == factory
    assert json.dumps(normalised(again)) == json.dumps(normalised(factory))
    assert digest(again) == digest(factory)
    assert normalised(factory)["modes"][0]["for"] == list(factory.modes[0].audience)


def test_digest_follows_the_policy_and_not_its_spelling() -> None:
    factory = parse(REAL, "a")
    respelt = REAL.replace('minimum_run = "2h"', 'minimum_run = "120m"').replace("# ", "#  ")
    changed = REAL.replace("carry_percent = 5", "carry_percent = 4")
    assert digest(parse(respelt, "b")) == digest(factory)
    assert digest(parse(changed, "c")) != digest(factory)


def test_a_factory_never_changes() -> None:
    factory = parse(REAL, "a")
    with pytest.raises(ValueError, match="frozen"):
        factory.systems[0].pools[0].weight = 60  # type: ignore[misc]
