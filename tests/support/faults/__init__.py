r"""Faults from outside: what breaks a sync without a hook in the product.

============================== ============================================================================
faults of e-conomic's answers  the simulator's own script: ``simulated.fault(match, kind, at=…)`` (:mod:`simulator.faults`)
another host, closed doors     :mod:`tests.support.faults.hosts`
faults of the network          :mod:`tests.support.faults.proxy`, in front of HTTP or PostgreSQL
a statement, a commit          :mod:`tests.support.faults.postgres`: the proxy that knows PostgreSQL's messages; killed backends
transaction pooling            :mod:`tests.support.faults.pooler`
a server to be mistreated      :mod:`tests.support.faults.clusters`: restart, crash, full disk
another time                   :mod:`tests.support.faults.clocks`
processes                      :mod:`tests.support.task_processes`: kill, stop and go on, by process id
============================== ============================================================================

``simulated.when(k, function)`` calls a function at request k; ``proxy.trip(b"commit\0", function, at=k)`` at the k-th statement with that text.
"""

from __future__ import annotations
