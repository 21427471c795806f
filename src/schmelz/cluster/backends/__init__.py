"""The engines behind the interface, chosen by the policy's `systems.cluster.backend`."""

from pathlib import Path

from schmelz.cluster.backends.local import LocalCluster
from schmelz.cluster.backends.tape import TapeCluster
from schmelz.cluster.model import Backend
from schmelz.faults import Refused
from schmelz.policy.system import System


def open_cluster(system: System, directory: Path) -> Backend:
    """The cluster of `system`; `directory` is where an embedded cluster or a tape lives. Raises Refused without one."""
    match system.cluster.backend:
        case "local":
            return LocalCluster(directory, system)
        case "tape":
            return TapeCluster(directory)
        case "slurm":
            from schmelz.cluster.backends.slurm import SlurmCluster  # only where there is a Slurm

            return SlurmCluster(system)
    raise Refused(f"{system.id} has no cluster.", "Name its backend in the factory file: systems.cluster.backend.")
