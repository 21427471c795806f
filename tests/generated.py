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
    """docs/states.md: the life of applications, projects, amendments and mandates."""
    from schmelz.portal.calls.states import TRANSITIONS as APPLICATION
    from schmelz.portal.clusters.states import TRANSITIONS as MANDATE
    from schmelz.portal.projects.states import AMENDMENTS as AMENDMENT, TRANSITIONS as PROJECT
    from schmelz.rules.lifecycle import diagram

    text = "# States and moves\n"
    tables = (
        ("An application", APPLICATION),
        ("A project", PROJECT),
        ("An amendment", AMENDMENT),
        ("A mandate", MANDATE),
    )
    for name, table in tables:
        rows = "\n".join(
            f"| {t.name} | {', '.join(t.starts)} | {t.finish} | `{t.permission}` | {t.sentence} |" for t in table
        )
        head = "| move | from | to | permission | meaning |\n|---|---|---|---|---|"
        text += f"\n## {name}\n\n```mermaid\n{diagram(table)}\n```\n\n{head}\n{rows}\n"
    return text


def jobs() -> str:
    """docs/jobs.md: why does my job wait?"""
    from schmelz.cluster.backends.slurm_reasons import page
    from schmelz.cluster.backends.slurm_words import BY_STATE
    from schmelz.cluster.fit import LIMITS

    effects = {"waits": "waits", "never": "is refused, or never starts"}
    limits = "\n".join(f"| {name} | {must} | {effects[starts]} |" for name, starts, _, must in LIMITS)
    states = "\n".join(f"| `{state}` | {words.format(code='N')} |" for state, words in BY_STATE.items())
    return f"""# Why does my job wait?

`schmelz jobs` and the page of a job say it in plain words, with what you can do; `schmelz jobs --json` has the scheduler's own
word (`word`) beside it. Look before you send: `schmelz submit train.sh --project P --gpus 4 --time 2:00:00 --dry-run` sends
nothing, and says what the job costs at most, what is left of the grant, what would hold the job, and whether it would start now
(exit code 0: it would run sooner or later; 4: it would be refused, or never start). The form in the browser has "Check first".

An **own** job runs on the guaranteed GPUs of its project's pool. A **borrowed** one (`--borrow`) runs on GPUs that nobody else
needs: it may start sooner, and may be pre-empted after the least run time of the policy. Then it is put back into the queue and
starts again from its beginning: write what it has done to a file from time to time.

## What can hold a job before it is sent

| limit | what must hold | else the job |
|---|---|---|
{limits}

## What the scheduler says of a waiting job

{page()}
## Where a job is

| Slurm's word | meaning |
|---|---|
{states}
"""


def modes() -> str:
    """docs/access-modes.md: the first factory said aloud."""
    from schmelz.policy.explain import describe
    from schmelz.policy.load import load

    return (
        "# The Luxembourg AI Factory, as factory.toml says it\n\n```text\n"
        + describe(load(ROOT / "factory.toml")).rstrip()
        + "\n```\n"
    )


PAGES = {
    "cli.md": command_line,
    "permissions.md": permissions,
    "states.md": states,
    "factory.md": modes,
    "jobs.md": jobs,
}


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
