r"""Faults from outside: what breaks a sync without a hook in the product.

============================== ============================================================================
faults of e-conomic's answers  the simulator's own script: ``simulated.fault(match, kind, at=…)`` (:mod:`simulator.faults`)
another host, closed doors     :mod:`tests.injection.hosts`
faults of the network          :mod:`tests.injection.proxy`, in front of HTTP or PostgreSQL
a statement, a commit          :mod:`tests.injection.postgres`: the proxy that knows PostgreSQL's messages; killed backends
transaction pooling            :mod:`tests.injection.pooler`
a server to be mistreated      :mod:`tests.injection.clusters`: restart, crash, full disk
another time                   :mod:`tests.injection.clocks`
processes                      :mod:`tests.task_processes`: kill, stop and go on, by process id
============================== ============================================================================

``simulated.when(k, function)`` calls a function at request k; ``proxy.trip(b"commit\0", function, at=k)`` at the k-th statement with that text.
"""

from __future__ import annotations
