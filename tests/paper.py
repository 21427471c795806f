"""Reading the text out of our own PDFs, as a screen reader would: fonts' Unicode maps applied to the shown glyphs."""

import re
import zlib

OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)\sendobj", re.S)
SHOWN = re.compile(rb"/(f\d+) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\)", re.S)
ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("f"): 12}


def text_of(pdf: bytes) -> str:
    """All text of all pages, in the order in which it is drawn, without the spaces between pieces."""
    objects = {int(number): body for number, body in OBJECT.findall(pdf)}
    fonts = {name: _map(objects, int(at)) for name, at in re.findall(rb"/(f\d+) (\d+) 0 R", pdf)}
    contents = [int(at) for body in objects.values() for at in re.findall(rb"/Contents (\d+) 0 R", body)]
    return "".join(_drawn(_stream(objects[at]), fonts) for at in contents)


def _drawn(content: bytes, fonts: dict[bytes, dict[int, str]]) -> str:
    text, font = "", {}
    for match in SHOWN.finditer(content):
        if match[1]:
            font = fonts[match[1]]
        else:
            codes = _plain(match[2])
            text += "".join(font.get(int.from_bytes(codes[i : i + 2]), "") for i in range(0, len(codes), 2))
    return text


def _map(objects: dict[int, bytes], font: int) -> dict[int, str]:
    found = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert found, "a font without a Unicode map cannot be read aloud"
    pairs = re.findall(rb"^<([0-9a-fA-F]{4})> <([0-9a-fA-F]+)>", _stream(objects[int(found[1])]), re.M)
    return {int(code, 16): bytes.fromhex(said.decode()).decode("utf-16-be") for code, said in pairs}


def _stream(body: bytes) -> bytes:
    return zlib.decompress(body[body.index(b"stream") + len(b"stream\n") :].lstrip(b"\n"))


def _plain(literal: bytes) -> bytes:
    """A literal string of PDF without its escapes."""
    out, i = bytearray(), 0
    while i < len(literal):
        if literal[i] != 92:
            out.append(literal[i])
            i += 1
        elif match := re.match(rb"[0-7]{1,3}", literal[i + 1 : i + 4]):
            out.append(int(match[0], 8) & 255)
            i += 1 + len(match[0])
        else:
            out.append(ESCAPES.get(literal[i + 1], literal[i + 1]))
            i += 2
    return bytes(out)
