"""Contains no DAG: its import error names the entries of ECONOMIC_AGREEMENTS that cannot be used.

Airflow deactivates every DAG of a file with an import error. Therefore the DAGs of valid entries
are in another file.
"""

from __future__ import annotations

from economic.config.settings import Settings
from economic.errors import ConfigurationError

try:
    rejected = Settings.from_environment().rejected
except ConfigurationError:
    rejected = ()  # a setting of all DAGs: the other file reports it

if rejected:
    raise ConfigurationError(" ".join(rejected), hint="The DAGs of all other entries run.")
