"""Every address of the portal. Each view carries its permission (see `guard`)."""

from django.urls import path

from schmelz.web.views import (
    applications,
    calls,
    decisions,
    door,
    faults,
    health,
    home,
    jobs,
    letters,
    plan,
    projects,
    sign,
    split,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("words", home.words, name="words"),
    path("sign-in", sign.sign_in, name="sign-in"),
    path("sign-out", sign.sign_out, name="sign-out"),
    path("calls", calls.open_calls, name="calls"),
    path("calls/<slug:mode>/apply", calls.apply, name="apply"),
    path("calls/<slug:mode>/check", calls.check, name="check"),
    path("door", door.door, name="door"),
    path("applications", applications.every, name="applications"),
    path("applications/<slug:code>", applications.one, name="application"),
    path("applications/<slug:code>/withdraw", applications.withdraw, name="withdraw"),
    path("applications/<slug:code>/decide", decisions.decide, name="decide"),
    path("inbox", decisions.inbox, name="inbox"),
    path("projects", projects.every, name="projects"),
    path("projects/<slug:code>", projects.one, name="project"),
    path("projects/<slug:code>/members", projects.add_member, name="add-member"),
    path("projects/<slug:code>/submit", jobs.submit, name="submit"),
    path("jobs", jobs.every, name="jobs"),
    path("jobs/<slug:job>", jobs.one, name="job"),
    path("letters", letters.every, name="letters"),
    path("letters/<int:number>", letters.one, name="letter"),
    path("split", split.page, name="split"),
    path("plan", plan.page, name="plan"),
    path("plan/apply", plan.apply, name="apply-plan"),
    path("health", health.page, name="health"),
]

handler400 = faults.bad_request
handler403 = faults.forbidden
handler404 = faults.not_found
handler500 = faults.broken
