"""What starts the package's surroundings on one machine: PostgreSQL, the simulator, Airflow."""

from __future__ import annotations
