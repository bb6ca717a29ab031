"""Holds no DAG: shows as an import error which entries of ECONOMIC_AGREEMENTS cannot be used.

Airflow switches off every DAG of a file that has an import error. So the DAGs of the good entries live in another file, and the bad ones
are reported by this one, for themselves alone.
"""

from __future__ import annotations

from economic.config.settings import Settings
from economic.errors import ConfigurationError

try:
    rejected = Settings.from_environment().rejected
except ConfigurationError:
    rejected = ()  # a setting of all DAGs is wrong, which the file that holds them reports

if rejected:
    raise ConfigurationError(" ".join(rejected), hint="The DAGs of all other entries run.")
