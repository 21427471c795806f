"""Writes the pages of docs/ that are made from the code's own tables; a test fails when one of them is stale.

Run it with `make pages`.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOTE = "<!-- Made from the code by `make pages`; do not edit. -->\n\n"


def command_line() -> str:
    """docs/cli.md: every command with its options."""
    import typer

    from schmelz.cli.main import app

    def pages(command, words: tuple[str, ...]) -> list[str]:
        if command.hidden:
            return []
        context = typer.Context(command, info_name=" ".join(words), max_content_width=100, terminal_width=100)
        own = [f"## {' '.join(words)}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"]
        children = getattr(command, "commands", {})
        return own + [text for name in sorted(children) for text in pages(children[name], (*words, name))]

    return "# The command line\n\n" + "\n".join(pages(typer.main.get_command(app), ("schmelz",)))


def permissions() -> str:
    """docs/permissions.md: who may do what."""
    from schmelz.rules.permissions import matrix

    return f"# Who may do what\n\n{matrix()}"


def states() -> str:
    """docs/states.md: the life of applications and projects."""
    from schmelz.portal.calls.states import TRANSITIONS as APPLICATION
    from schmelz.portal.projects.states import TRANSITIONS as PROJECT
    from schmelz.rules.lifecycle import diagram

    text = "# States and moves\n"
    for name, table in (("An application", APPLICATION), ("A project", PROJECT)):
        rows = "\n".join(
            f"| {t.name} | {', '.join(t.starts)} | {t.finish} | `{t.permission}` | {t.sentence} |" for t in table
        )
        head = "| move | from | to | permission | meaning |\n|---|---|---|---|---|"
        text += f"\n## {name}\n\n```mermaid\n{diagram(table)}\n```\n\n{head}\n{rows}\n"
    return text


def modes() -> str:
    """docs/access-modes.md: the first factory said aloud."""
    from schmelz.policy.explain import describe
    from schmelz.policy.load import load

    return (
        "# The Luxembourg AI Factory, as factory.toml says it\n\n```text\n"
        + describe(load(ROOT / "factory.toml")).rstrip()
        + "\n```\n"
    )


PAGES = {"cli.md": command_line, "permissions.md": permissions, "states.md": states, "factory.md": modes}


def page(name: str) -> str:
    return NOTE + PAGES[name]()


if __name__ == "__main__":
    import tempfile

    os.environ["SCHMELZ_DATA"] = tempfile.mkdtemp()
    os.environ["DJANGO_SETTINGS_MODULE"] = "schmelz.portal.settings"
    import django

    django.setup()
    for name in PAGES:
        (ROOT / "docs" / name).write_text(page(name))
        print("docs/" + name, file=sys.stderr)
