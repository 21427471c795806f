"""Every page opens for the right people and for nobody else, is well made, and stays at home."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from schmelz.web.urls import urlpatterns

OPEN = {"home", "words", "sign-in", "calls", "door", "split", "statements", "annual-public", "pool-statement"}
SIGNED_IN = {"apply", "applications", "inbox", "projects", "jobs", "letters"}
# who may open the rest: 200 opens, 302 leads to what one may see, 403 says why not
MATRIX = {
    "application": {"anna": 200, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "decide": {"anna": 302, "bruno": 403, "franco": 403, "gilles": 302, "signer": 200},
    "project": {"anna": 200, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "submit": {"anna": 200, "bruno": 403, "franco": 403, "gilles": 403, "signer": 403},
    "project-statement": {"anna": 200, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "annual": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "key-figures": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "plan": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 403},
    "drift": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 403},
    "steering": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 403},
    "whatif": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "whatif-application": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "policies": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "planner": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 200},
    "health": {"anna": 403, "bruno": 403, "franco": 403, "gilles": 200, "signer": 403},
}


class Page(HTMLParser):
    """What a browser would fetch, and what a person needs: labels, ids, headings, inline code."""

    FETCHED = {
        ("link", "href"),
        ("script", "src"),
        ("img", "src"),
        ("form", "action"),
        ("iframe", "src"),
        ("use", "href"),
        ("image", "href"),
        ("source", "src"),
        ("object", "data"),
        ("button", "formaction"),
    }

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.wanted: set[str] = set()
        self.labelled: set[str] = set()
        self.inputs: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.inline: list[str] = []
        self.inside_label = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append(tag)
        self.inside_label += tag == "label"
        self.ids += [said["id"] or ""] if "id" in said else []
        self.fetched += [said[name] or "" for t, name in self.FETCHED if t == tag and name in said]
        self.fetched += [value or "" for name, value in attrs if name in ("hx-get", "hx-post")]
        self.inline += [name for name in said if name == "style" or name.startswith("on")]
        self.inline += ["script"] if tag == "script" and "src" not in said else ["style"] if tag == "style" else []
        self.wanted |= set((said.get("aria-describedby") or "").split()) | set(
            (said.get("aria-labelledby") or "").split()
        )
        self.labelled |= {said["for"] or ""} if tag == "label" and "for" in said else set()
        if tag in ("input", "select", "textarea") and said.get("type") != "hidden" and not self.inside_label:
            self.inputs.append(said)

    def handle_endtag(self, tag: str) -> None:
        self.inside_label -= tag == "label"


def _check(html: str, path: str) -> None:
    page = Page(html)
    assert [url for url in page.fetched if urlsplit(url).netloc] == [], path
    assert page.inline == [], f"{path}: the content security policy would block this"
    assert [one for one in set(page.ids) if page.ids.count(one) > 1] == [], f"{path}: ids used twice"
    assert [one.get("name") for one in page.inputs if one.get("id") not in page.labelled] == [], (
        f"{path}: without a label"
    )
    assert page.wanted - set(page.ids) == set(), f"{path}: described by what is not there"
    assert (page.tags.count("h1"), page.tags.count("main"), page.tags.count("title") >= 1) == (1, 1, True), path
    assert "Traceback" not in html and "{%" not in html and "{{" not in html, path
    assert "<script>alert(1)</script>" not in html, path


def _people(cast) -> dict:
    return {
        "anna": cast.anna,
        "bruno": cast.bruno,
        "franco": cast.franco,
        "gilles": cast.gilles,
        "signer": cast.signers[0],
    }


def test_every_page_for_everybody(scene, browser) -> None:
    stranger = browser(None)
    for name, path in scene.paths().items():
        assert stranger.get(path).status_code == (200 if name in OPEN else 302), path
    for handle, person in _people(scene.cast).items():
        client = browser(person)
        for name, path in scene.paths().items():
            response = client.get(path)
            assert response.status_code == (200 if name in OPEN | SIGNED_IN else MATRIX[name][handle]), (handle, path)
            if response.status_code != 302:
                _check(response.content.decode(), f"{path} as {handle}")


def test_matrix_is_complete(scene) -> None:
    pages = {route.name for route in urlpatterns} - {
        "sign-out",
        "check",
        "withdraw",
        "add-member",
        "remove-member",
        "suspend",
        "amend",
        "apply-plan",
        "approve-plan",
        "choose-drift",
        "propose-mandate",
        "sign-mandate",
        "revoke-mandate",
        "metrics",
        "closing-head",
        "job",
        "letter",
    }
    assert set(scene.paths()) == pages == OPEN | SIGNED_IN | set(MATRIX)


def test_strangers_are_led_to_the_sign_in_and_back(scene, browser) -> None:
    response = browser(None).get("/projects?state=active")
    assert response.url == "/sign-in?next=/projects%3Fstate%3Dactive"
    fragment = browser(None).get("/jobs", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (204, "/sign-in?next=/jobs")


def test_headers_keep_the_browser_at_home(scene, browser) -> None:
    client = browser(scene.cast.anna)
    for path in ("/", "/plan", "/nothing-here", "/static/web/schmelz.css", "/static/django_htmx/htmx-2.min.js"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'; base-uri 'none'"), path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_styles_ask_for_nothing(browser) -> None:
    text = b"".join(browser(None).get("/static/web/schmelz.css").streaming_content).decode()
    assert re.findall(r"url\(|@import|https?:", text) == []


def test_refusal_says_why_and_who_may(scene, browser) -> None:
    html = browser(scene.cast.franco).get(f"/projects/{scene.project.code}").content.decode()
    assert "Franco may not: read a project" in html and "a member of the project" in html


def test_unknown_addresses_get_a_page(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    for path in (
        "/nope",
        "/projects/p999999",
        "/applications/a99999",
        "/calls/nothing/apply",
        "/letters/99",
        "/jobs/99",
        "/letters/99999999999999999999",
        "/plan?system=nowhere",
        "/split?system=nowhere",
    ):
        response = client.get(path)
        assert response.status_code == 404, path
        _check(response.content.decode(), path)


def test_only_forms_change_something(scene, browser) -> None:
    for path in ("/sign-out", f"/applications/{scene.waiting.code}/withdraw"):
        response = browser(scene.cast.anna).get(path)
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_navigation_shows_what_one_may_open(scene, browser) -> None:
    def links(person) -> list[str]:
        return re.findall(r'<li><a href="([^"]+)"', browser(person).get("/words").content.decode())

    assert links(None) == ["/calls", "/split", "/statements"]
    assert links(scene.cast.anna) == [
        "/calls",
        "/split",
        "/statements",
        "/applications",
        "/projects",
        "/jobs",
        "/letters",
    ]
    assert links(scene.cast.gilles)[-2:] == ["/plan", "/health"]
    assert "/inbox" in links(scene.cast.signers[0])


def test_a_broken_policy_file_is_told_calmly(scene, browser, settings, tmp_path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("nonsense = 1\n")
    settings.FACTORY = broken
    response = browser(scene.cast.anna).get("/calls")
    assert (response.status_code, str(tmp_path) in response.content.decode()) == (503, False)
