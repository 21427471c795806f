"""Submitting a job: the form, a look at what would become of it, and sending it as the person's own Unix user."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from schmelz.cluster.fit import preemption
from schmelz.faults import BadInput, Refused
from schmelz.operate.expected import expected_start
from schmelz.operate.fit import Look, Wish, look, submit_job
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.states import ProjectState
from schmelz.rules.permissions import Permission
from schmelz.units import HOUR
from schmelz.web.answers import Faults, number_in, number_or_none, placed
from schmelz.web.guard import needs, signed_in, the_project
from schmelz.web.views.jobs import start_said
from schmelz.web.words import MINUTE

LONGEST_SCRIPT = 256 * 1024
SCRIPT = '#!/bin/sh\necho "hello from $(hostname)"\nsleep 20\necho done\n'


@needs(Permission.JOB_SUBMIT, the_project)
def submit(request: HttpRequest, project: Project) -> HttpResponse:
    """The form; its second button only looks: what the job costs, what would hold it, whether it would start."""
    system = factory().system(project.system)
    if request.method != "POST":
        return _form(request, project, system, Faults())
    person = signed_in(request)
    try:
        wish = _wish(request, system)
        if "check" in request.POST:
            return _form(request, project, system, Faults(), found=look(person, project.code, wish))
        job = submit_job(person, project.code, wish)
    except BadInput as error:
        return _form(request, project, system, placed(error))
    except Refused as error:  # on the form itself, so that the script is not lost
        return _form(request, project, system, Faults((str(error),)), 403)
    messages.success(request, f"Job {job} was submitted.{_warning(wish, system)}")
    return redirect("job", job=job)


def _warning(wish: Wish, system: System) -> str:
    return f" {preemption(system)}" if wish.borrowed else ""


def _wish(request: HttpRequest, system: System) -> Wish:
    form = request.POST
    faults: list[str] = []
    sizes: dict[str, int | None] = {}
    for key, most in (("gpus", 10**6), ("nodes", 10**6), ("hours", 10**5), ("minutes", 59)):
        try:
            sizes[key] = (number_in if key == "gpus" else number_or_none)(
                form, key, 1 if key in ("gpus", "nodes") else 0, most
            )
        except BadInput as error:
            faults += error.faults
    script, site = form.get("script", "").replace("\r\n", "\n"), form.get("site") or None
    faults += _unusable(script, site, system)
    if faults:
        raise BadInput(faults)
    limit = (sizes["hours"] or 0) * HOUR + (sizes["minutes"] or 0) * MINUTE
    return Wish(script, sizes["gpus"] or 0, sizes["nodes"], limit or None, site, form.get("kind") == "borrowed")


def _unusable(script: str, site: str | None, system: System) -> list[str]:
    """What no cluster would take."""
    faults = []
    if not script.strip():
        faults.append("script: is empty; write what is to run, beginning with #!/bin/sh")
    if len(script.encode("utf-8", "surrogatepass")) > LONGEST_SCRIPT or "\x00" in script:
        faults.append(f"script: must be text of at most {LONGEST_SCRIPT // 1024} KiB")
    if site is not None and site not in system.nodes:
        faults.append(f"site: {site[:40]!r} is not a site of {system.title}; one of: {', '.join(system.nodes)}")
    return faults


def _likely(found: Look | None) -> str:
    """When a job that would wait is likely to start, where the twin can say."""
    if found is None or found.verdict.starts != "waits":
        return ""
    start = expected_start(found.verdict.case)
    return start_said(start, now(), factory().zone) if start else ""


def _form(
    request: HttpRequest,
    project: Project,
    system: System,
    faults: Faults,
    status: int = 400,
    found: Look | None = None,
) -> HttpResponse:
    default = system.cluster.default_time
    start = {
        "script": SCRIPT,
        "gpus": "1",
        "nodes": "",
        "hours": default // HOUR,
        "minutes": default % HOUR // MINUTE,
        "site": "",
        "kind": "own",
    }
    said = {key: request.POST.get(key, "") for key in start} if request.method == "POST" else start
    return render(
        request,
        "web/submit.html",
        {
            "project": project,
            "system": system,
            "said": said,
            "faults": faults,
            "section": "jobs",
            "sites": [s for s in factory().sites if s.id in system.nodes],
            "longest": system.cluster.max_time,
            "awarded": project.state == ProjectState.AWARDED,
            "found": found,
            "likely": _likely(found),
            "preemption": preemption(system),
        },
        status=status if faults else 200,
    )
