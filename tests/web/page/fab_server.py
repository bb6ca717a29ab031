"""Airflow's API server with the FAB auth manager and users of many roles, below a path prefix.

A process can have only one auth manager, so this is one of its own: `python fab_server.py PORT`.
"""

from __future__ import annotations

import sys

import uvicorn

PASSWORD = "of-the-tests"
RUNS = ("can_read", "DAG Runs")
NORTH = ("can_read", "DAG:economic_invoice_sync__north")
QUICK = "DAG:economic_invoice_quick_sync__north"
STARTS_QUICK = [RUNS, ("can_read", QUICK), ("can_edit", QUICK), ("can_create", "DAG Runs")]
ROLES = {
    "Nothing": [],
    "DagOnly": [("can_read", "DAGs")],
    "North": [RUNS, NORTH],
    "NorthStarter": [RUNS, NORTH, ("can_edit", NORTH[1]), ("can_create", "DAG Runs")],
    "QuickStarter": STARTS_QUICK,
    "NorthQuickStarter": [NORTH, *STARTS_QUICK],
}
USERS = {
    "admin": "Admin",
    "ursula": "User",
    "vera": "Viewer",
    "paula": "Public",
    "nobody": "Nothing",
    "dora": "DagOnly",
    "norma": "North",
    "nils": "NorthStarter",
    "quinn": "QuickStarter",
    "nora": "NorthQuickStarter",
}


def make_users() -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.db import initdb

    initdb()
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        manager.bulk_sync_roles([{"role": role, "perms": rights} for role, rights in ROLES.items()])
        for name, role in USERS.items():
            manager.add_user(name, name, "Test", f"{name}@test.invalid", manager.find_role(role), PASSWORD)


if __name__ == "__main__":
    make_users()
    from airflow.api_fastapi.app import create_app

    uvicorn.run(create_app("core"), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
