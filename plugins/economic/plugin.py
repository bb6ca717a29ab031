"""Hands the plugin to Airflow when the folder is mounted but the package is not installed.

Registered twice, Airflow's task processes would drop the plugins of other packages; so only when no entry point does it already.
"""

from __future__ import annotations

from importlib.metadata import entry_points

if not any(found.name == "economic" for found in entry_points(group="airflow.plugins")):
    from economic.web.ui_plugin import EconomicPlugin

    __all__ = ["EconomicPlugin"]
