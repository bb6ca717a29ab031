"""The plugin that Airflow loads by entry point or from the plugins folder."""

from __future__ import annotations

from airflow.sdk.plugins_manager import AirflowPlugin


class EconomicPlugin(AirflowPlugin):
    """Makes the package known to Airflow's plugin list."""

    name = "economic"
