"""For whom nodes are reserved: the pool of everybody who may use a reservation.

Accounts are of a pool by the projects and the policy's patterns, so sub-accounts too; QOS by their names
(`<pool account>-own`). Where several pools, overhead, or nobody in particular may use it, it is reserved for no pool.
Source: the definitions page, "Supply".
"""

from collections.abc import Iterable, Mapping

from schmelz.metering.attribute import pool_of
from schmelz.policy.schema import System


def pool_for(system: System, accounts: Iterable[str], qos: Iterable[str], projects: Mapping[str, str]) -> str | None:
    """The one pool of these accounts and QOS. `projects`: account -> pool."""
    named = {pool_of(account, system, projects) for account in accounts} | {_of_qos(system, name) for name in qos}
    return named.pop() if len(named) == 1 and named <= {pool.id for pool in system.pools} else None


def _of_qos(system: System, qos: str) -> str:
    account, _, _ = qos.rpartition("-")
    return next((pool.id for pool in system.pools if pool.account == account), "")
