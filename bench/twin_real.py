"""The twin against a real Slurm: 240 jobs of two pools, steered; the order of starts and the waits of both.

Needs the packages of the lab and root; takes about four minutes. What the figures mean: tests/cluster/against_twin.py.
"""

import os
import sys
from pathlib import Path

from steering import lab, stage

from cluster.lab import Settings
from cluster.lab_conf import refusals


def main() -> None:
    why = "; ".join(refusals(Settings(Path("/tmp/schmelz-bench-probe"))))
    if os.getuid() != 0 or why:
        print(f"THE FIGURES OF A REAL SLURM ARE MISSING: {why or 'only root can start a lab'}")
        return
    with lab(nodes=2) as one:
        contest = stage(one)
        from cluster.against_twin import run, told

        print("\n".join(told(run(contest), contest)))


if __name__ == "__main__":
    sys.exit(main())
