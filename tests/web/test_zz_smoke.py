import pytest
from django.test import Client
from schmelz.portal.calls import actions
from schmelz.operate import cluster, meter

def test_smoke(cast, capsys):
    f=cast.factory
    a=actions.submit(f,mode_id=cast.mode.id,person=cast.anna,answers=cast.answers())
    b=actions.submit(f,mode_id=cast.mode.id,person=cast.anna,answers=cast.answers(title="Second <b>one</b>"))
    actions.propose(f,a.code,cast.signers[0],gpu_hours=cast.answers()["gpu_hours"],because="fits")
    for s in cast.signers[1:]: actions.sign(f,a.code,s)
    from schmelz.portal.projects.models import Project
    p=Project.objects.get()
    pages=["/","/words","/sign-in","/calls",f"/calls/{cast.mode.id}/apply","/door","/door?category=startup","/applications",f"/applications/{a.code}",f"/applications/{b.code}",f"/applications/{b.code}/decide","/inbox","/projects",f"/projects/{p.code}","/jobs",f"/projects/{p.code}/submit","/letters","/split","/split?format=csv","/plan","/health","/nope"]
    for who in (None,cast.anna,cast.gilles,cast.signers[0],cast.franco):
        c=Client()
        if who: c.force_login(who)
        out=[]
        for page in pages:
            r=c.get(page)
            out.append(f"{page}:{r.status_code}")
            if r.status_code>=500: print(r.content.decode()[-1500:])
        with capsys.disabled(): print(who and who.handle, " ".join(out))
