"""The plugin's file for a mounted plugins folder, where the package is not installed.

An installed package registers the plugin by its entry point. Registered twice, it would make
Airflow's task processes drop the plugins of other packages.
"""

from __future__ import annotations

from importlib.metadata import entry_points

if not any(entry.name == "economic" for entry in entry_points(group="airflow.plugins")):
    from economic.web.ui_plugin import EconomicPlugin

    __all__ = ["EconomicPlugin"]
