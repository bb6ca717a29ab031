"""A soak: everything that can go wrong goes wrong for minutes on end, while syncs of every kind run at once and the books change all the time.

``./run test --soak --minutes 10 --seed 1`` runs it, ``./run test --soak --sweep`` kills a sync at every request and at every commit instead, one after the
other. The product's times are shortened a hundred times (:data:`tests.soak.ground.SHORTENED`), so that ten minutes are most of a day.

=============  ==========================================================================================
`ground`       where it takes place: books, server, the ways to both, who watches
`bookkeeper`   changes the books
`traffic`      starts DAG runs, and tries their tasks again, as Airflow does
`troubles`     what goes wrong, and is put right again
`chaos`        all of it together, for a time, and the report of what was seen
`sweep`        a death at every point of a sync
=============  ==========================================================================================
"""

from __future__ import annotations
