"""sbatch: directives that are of no use, refusals and forecasts in plain words, and whose rights it goes out with."""

import os
from dataclasses import replace

import pytest

from make import factory
from schmelz.cluster.backends import slurm_call, slurm_submit as submit
from schmelz.cluster.backends.slurm_call import Answer
from schmelz.cluster.model import ClusterError, JobRequest
from schmelz.faults import BadInput, Refused

REQUEST = JobRequest("#!/bin/sh\n", "p200001", "eurohpc", "tsanna", 6, 2, 5400)


@pytest.mark.parametrize("line", ["#SBATCH --wait", "#SBATCH -W", "#SBATCH --mem=1G --wait", "#SBATCH --test-only"])
def test_directives_that_would_hold_the_portal_are_refused(line: str) -> None:
    with pytest.raises(BadInput, match="is of no use here"):
        submit.check_directives(f"#!/bin/sh\n{line}\ntrue\n")
    submit.check_directives("#!/bin/sh\n#SBATCH --wait-all-nodes=1\nsbatch --wait x\n")


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (
            "sbatch: error: AssocGrpSubmitJobsLimit\nsbatch: error: Batch job submission failed: Job violates",
            Refused,
            "the project p200001 is closed for new jobs. Ask the principal investigator or the operator.",
        ),
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            Refused,
            "tsanna may not use the project p200001 on the cluster. "
            "A new project or member gets there when the operator applies the plan.",
        ),
        (
            "sbatch: error: Batch job submission failed: Something new",
            Refused,
            "Slurm refuses it: Something new. Ask the operator what it means.",
        ),
        (
            "sbatch: error: This does not look like a batch script.  The first",
            BadInput,
            "script: the first line must say what runs it, such as #!/bin/bash",
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            ClusterError,
            "sbatch: sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        ),
        ("sbatch: fatal: no conf", ClusterError, "sbatch failed (exit status 1): sbatch: fatal: no conf"),
    ],
)
def test_refusals_in_plain_words(said: str, kind: type[Exception], sentence: str) -> None:
    fault = submit.refusal(Answer(1, b"", said), REQUEST)
    assert (type(fault), str(fault)) == (kind, sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "sbatch: Job 4 to start at 2026-11-24T04:15:23 using 2 processors on nodes mxb[001-002] in partition bissen",
            "Slurm could start it at 2026-11-24T04:15:23 on mxb[001-002], budgets and caps not looked at",
        ),
        (
            "allocation failure: Invalid account or account/partition combination specified",
            "Slurm would refuse it: tsanna may not use the project p200001 on the cluster. "
            "A new project or member gets there when the operator applies the plan.",
        ),
        ("allocation failure: Something new", "Slurm would refuse it: Something new"),
    ],
)
def test_forecasts_in_plain_words(said: str, sentence: str) -> None:
    """As 22.05 said it."""
    assert submit.forecast(Answer(1, b"", said), REQUEST) == sentence


def test_no_forecast_is_no_answer() -> None:
    with pytest.raises(ClusterError, match="connect failure"):
        submit.forecast(Answer(1, b"", "Unable to contact slurm controller (connect failure)"), REQUEST)


def test_a_job_goes_out_for_the_person_only() -> None:
    """Never as root for somebody, and never as somebody else where we are not root."""
    with pytest.raises(Refused, match="root is root; no job runs as root"):
        slurm_call.as_person("root", ("true",))
    if os.getuid() == 0:
        assert slurm_call.as_person("nobody", ("id", "-un")).out == b"nobody\n"
    else:
        with pytest.raises(ClusterError, match="cannot act as nobody"):
            slurm_call.as_person("nobody", ("true",))


def test_the_qos_is_asked_for_only_by_those_who_borrow() -> None:
    system = factory().systems[0]
    own = submit.submission(REQUEST, system, ["bissen"], "/h", "/h/o")
    lent = submit.submission(replace(REQUEST, qos="eurohpc-borrow"), system, ["bissen"], "/h", "/h/o")
    assert set(lent) - set(own) == {"--qos=eurohpc-borrow"} and set(own) - set(lent) == set()
