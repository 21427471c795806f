"""The main job in a real browser: from an application to a proof. Keeps screenshots in build/screenshots/."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.journey

SCRIPT = "#!/bin/sh\necho hello from the furnace\nsleep 4\necho done\n"


def _number(text: str) -> int:
    return int(re.sub(r"\s", "", text).replace("\u2212", "-"))


def _column(page: Page, table: str, column: int) -> dict[str, int]:
    """A column of a table by the words of its rows."""
    rows = page.get_by_role("region", name=table).locator("tbody tr").all()
    return {row.locator("th").inner_text(): _number(row.locator("td").nth(column).inner_text()) for row in rows}


def _apply(window: Callable, handle: str, name: str) -> str:
    """Anna finds her door and applies; the application's code."""
    anna = window()
    anna.sign_in(handle)
    anna.open("/")
    anna.keep("1-home")
    page = anna.open("/door")
    page.get_by_label("1. What are you?").select_option(label="Start-up")
    page.get_by_label("2. In which country are you established?").select_option("LU")
    expect(page.get_by_label("Your doors")).to_contain_text("may fit")  # by htmx, no button was pressed
    page.get_by_label("3. How many GPU-hours?").fill("4000")
    page.get_by_label("4. For how many months?").fill("2")
    page.keyboard.press("Tab")
    page.wait_for_url("**gpu_hours=4000&months=2**")  # the answer can be sent to somebody
    expect(page.get_by_label("Your doors")).to_contain_text(f"Apply in {name}")
    anna.keep("1-door")
    page = anna.open("/calls")
    anna.keep("1-calls")
    page.get_by_role("link", name=f"Apply in {name}").click()
    page.get_by_label("Title", exact=True).fill("Voice models for small languages")
    page.get_by_label("Summary").fill("We fine-tune open speech models on our own recordings, four GPUs at a time.")
    page.get_by_role("textbox", name="GPU-hours").fill("many")
    page.get_by_label("Months", exact=True).select_option("2")
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_role("alert")).to_contain_text("GPU-hours: must be a whole number")
    anna.wrong[:] = [line for line in anna.wrong if "400" not in line]  # the browser notes the status of the answer
    anna.keep("1-apply-wrong")
    page.get_by_role("textbox", name="GPU-hours").fill("4 000")
    for box in page.get_by_role("checkbox").all():
        box.check()
    expect(page.locator("#findings")).to_contain_text("Eligible, as far as rules can tell")
    anna.keep("1-apply")
    page.get_by_role("button", name="Send the application").click()
    expect(page.get_by_role("status")).to_contain_text("was received")
    anna.keep("1-application")
    return page.url.rpartition("/")[2]


def _decide(window: Callable, code: str) -> str:
    """Gilles proposes less than was asked, Eva signs; the project's code."""
    gilles = window()
    gilles.sign_in("gilles")
    page = gilles.open("/inbox")
    gilles.keep("2-inbox")
    page.get_by_role("link", name=f"Decide {code}").click()
    page.get_by_label("Award in GPU-hours").fill("3000")
    page.get_by_label("Because").fill("Three thousand are enough for a first try.")
    gilles.keep("2-propose")
    page.get_by_role("button", name="Propose the award").click()
    expect(page.get_by_role("status")).to_contain_text("the next signer was told")
    eva = window()
    eva.sign_in("eva")
    page = eva.open(f"/applications/{code}/decide")
    expect(page.get_by_role("main")).to_contain_text("Three thousand are enough for a first try.")
    eva.keep("2-sign")
    page.get_by_role("button", name="Sign 3\u202f000 GPU-hours").click()
    expect(page.get_by_role("status")).to_contain_text("is awarded and is project")
    project = re.search(r"is project (\w+)", page.get_by_role("status").inner_text())
    assert project
    eva.keep("2-awarded")
    return project.group(1)


def _follow(window: Callable, project: str) -> None:
    """Gilles reads the plan and applies it."""
    gilles = window()
    gilles.sign_in("gilles")
    page = gilles.open("/plan")
    expect(page.get_by_label("What changes")).to_contain_text(f"+ account {project}")
    gilles.keep("3-plan")
    page.get_by_role("button", name="Apply plan").click()
    expect(page.get_by_role("status")).to_contain_text("is applied")
    expect(page.get_by_role("main")).to_contain_text("The cluster is as decided")
    gilles.keep("3-applied")
    gilles.open("/health")
    gilles.keep("3-health")


def _run(window: Callable, project: str) -> None:
    """Anna's job runs; the page follows by itself. Then the balance shows it."""
    anna = window()
    anna.sign_in("anna")
    page = anna.open(f"/projects/{project}")
    anna.keep("4-project-new")
    page.get_by_role("link", name="Submit a job").click()
    page.get_by_label("Script", exact=True).fill(SCRIPT)
    page.get_by_label("GPUs in all").fill("2")
    page.get_by_label("Hours", exact=True).fill("0")
    page.get_by_label("Minutes", exact=True).fill("10")
    anna.keep("4-submit")
    page.get_by_role("button", name="Submit the job").click()
    expect(page.get_by_role("status")).to_contain_text("was submitted")
    expect(page.locator("#job")).to_contain_text("runs", timeout=30_000)
    anna.keep("4-job-runs")
    expect(page.get_by_label("Output")).to_contain_text("done", timeout=40_000)
    expect(page.locator("#job .state")).to_have_text("done")
    anna.keep("4-job-done")
    anna.open("/jobs")
    anna.keep("4-jobs")
    page = anna.open(f"/projects/{project}")
    settled = page.locator("#balance dd").first
    expect(settled).not_to_have_text("0 GPU-hours", timeout=30_000)  # by itself, a few seconds later
    expect(page.locator("#balance .figure")).to_contain_text("left of 3\u202f000 GPU-hours")
    anna.keep("5-balance")
    anna.open("/letters")
    anna.keep("5-letters")


def _split(window: Callable) -> None:
    """The lines of the split add up to what is installed, to the second, for every site and in all."""
    anyone = window()
    page = anyone.open("/split?month=" + time.strftime("%Y-%m"))
    for column in range(3):
        lines = _column(page, "Where every GPU was", column)
        assert lines.pop("installed") == sum(lines.values()) > 0
    for column in range(2):
        pool = _column(page, "What each side got", column)
        assert pool["own"] + pool["borrowed"] + pool["returned"] == pool["used"] > 0
    assert page.locator("svg#band title").first.text_content() == "The split of MeluXina-AI, day by day"
    anyone.keep("5-split")


def test_from_application_to_proof(window, served, tmp_path) -> None:
    code = _apply(window, "anna", "Playground")
    project = _decide(window, code)
    _follow(window, project)
    _run(window, project)
    _split(window)
    served.schmelz("--as", "gilles", "export", str(tmp_path / "facts"))
    assert "verified" in served.schmelz("verify", str(tmp_path / "facts"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 640])
def test_narrow_windows(window, width, theme) -> None:
    """A phone, and a laptop at 200 per cent: no page scrolls sideways."""
    gilles = window(width, color_scheme=theme)
    for path in ("/", "/calls", "/door?category=startup", "/split", "/words", "/sign-in"):
        gilles.open(path)
        gilles.keep(f"narrow/{width}-{theme}-{path.partition('?')[0].strip('/') or 'home'}")
    gilles.sign_in("gilles")
    for path in (
        "/inbox",
        "/applications",
        "/projects",
        "/projects/p200001",
        "/jobs",
        "/letters",
        "/plan",
        "/drift",
        "/health",
        "/applications/a00001",
        "/calls/playground/apply",
    ):
        gilles.open(path)
        gilles.keep(f"narrow/{width}-{theme}-{path.strip('/').replace('/', '-')}")


def test_without_javascript(window) -> None:
    """Buttons do what htmx does otherwise."""
    anna = window(java_script_enabled=False)
    anna.sign_in("anna")
    page = anna.open("/door")
    page.get_by_label("1. What are you?").select_option(label="Start-up")
    page.get_by_role("button", name="Show my doors").click()
    expect(page.get_by_label("Your doors")).to_contain_text("may fit")
    page = anna.open("/calls/playground/apply")
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#findings")).to_contain_text("declarations are still to be made")


def test_by_keyboard(window) -> None:
    """The first stop skips to the content; every stop is seen."""
    anyone = window()
    page = anyone.open("/calls")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", page.evaluate("document.activeElement.outerHTML")
