"""In which line of a TOML file a key stands: `key_lines` maps every key path to its line, `line_of` finds the nearest.

The standard reader gives values without positions; this scanner walks the same text once more, only to say where a
fault is. It expects text that the standard reader has accepted, and stops without a word where it cannot follow.
Key paths are tuples of keys and positions: ("systems", 0, "pools", 1, "weight"). A value in an array has its own line.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping

from schmelz.policy.fields import KeyPath

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of every table, key and array element of a TOML text."""
    scanner = _Scanner(text)
    while scanner.statement():
        pass
    return scanner.lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key, or of the nearest table around it that has one."""
    return next((lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines), 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self.lines: dict[KeyPath, int] = {}
        self._table: KeyPath = ()
        self._counts: dict[KeyPath, int] = {}
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def statement(self) -> bool:
        """Read one header or one key with its value; False at the end."""
        self._skip(_SPACE)
        start = self.position
        if self._take("[["):
            self._open_array(self._dotted(), start)
        elif self._take("["):
            self._table = self._resolved(self._dotted())
            self._note(self._table, start)
        else:
            return self._pair(self._table)
        self._take("]")
        self._take("]")
        return True

    def _open_array(self, keys: KeyPath, start: int) -> None:
        array = self._resolved(keys[:-1]) + keys[-1:]
        self._note(array, start)
        self._table = (*array, self._counts.get(array, 0))
        self._counts[array] = self._counts.get(array, 0) + 1
        self._note(self._table, start)

    def _resolved(self, keys: KeyPath) -> KeyPath:
        """A header's keys with the position of the newest element after each array of tables."""
        path: KeyPath = ()
        for key in keys:
            path += (key,)
            path += (self._counts[path] - 1,) if path in self._counts else ()
        return path

    def _pair(self, table: KeyPath) -> bool:
        start, path = self.position, table
        for key in self._dotted():
            path += (key,)
            self._note(path, start)
        if path == table or not self._take("="):
            return False
        self._value(path)
        return True

    def _dotted(self) -> KeyPath:
        keys: list[str] = []
        while match := _KEY.match(self.text, self._skip(_SPACE)):
            self.position = match.end()
            quoted = match[0][0] in "\"'"
            keys.append(tomllib.loads(f"{match[0]} = 0").popitem()[0] if quoted else match[0])
            if not self._take("."):
                break
        return tuple(keys)

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            index = 0
            while not self._take("]") and self._skip(_SPACE) < len(self.text):
                self._note((*path, index), self.position)
                self._value((*path, index))
                self._take(",")
                index += 1
        elif self._take("{"):
            while not self._take("}") and self._pair(path):
                self._take(",")
        else:
            start = self.position
            if self._skip(_STRING) == start:
                self._skip(_SCALAR)

    def _take(self, token: str) -> bool:
        found = self.text.startswith(token, self._skip(_SPACE))
        self.position += len(token) if found else 0
        return found

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if match := pattern.match(self.text, self.position):
            self.position = match.end()
        return self.position

    def _note(self, path: KeyPath, position: int) -> None:
        self.lines.setdefault(path, bisect_left(self._ends, position) + 1)
