"""What an installed package must do in an Airflow that knows nothing of this project. Run by that Airflow's Python; prints what it tried."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def connection_type_is_known() -> None:
    from airflow.providers_manager import ProvidersManager

    hook = ProvidersManager().hooks["economic"]
    assert hook is not None
    assert hook.hook_class_name == "economic.client.hook.EconomicHook", hook


TOKENS = {"app_secret_token": "a" * 20, "agreement_grant_token": "b" * 20}
CONNECTION = {"conn_type": "economic", "host": "https://restapi.e-conomic.com", "port": 443, "extra": TOKENS}


def connection_by_the_airflow_command() -> None:
    airflow("db", "migrate")
    Path("connections.json").write_text(json.dumps({"economic_imported": CONNECTION}))
    airflow("connections", "import", "connections.json")
    shown = json.loads(airflow("connections", "get", "economic_imported", "--output", "json"))
    assert shown[0]["conn_type"] == "economic", shown


def connection_by_the_environment() -> None:
    os.environ["AIRFLOW_CONN_ECONOMIC_FROM_ENVIRONMENT"] = json.dumps(CONNECTION)
    opens("economic_from_environment")


def connection_by_a_secrets_backend() -> None:
    Path("secrets.json").write_text(json.dumps({"economic_secret": CONNECTION}))
    os.environ["AIRFLOW__SECRETS__BACKEND"] = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    os.environ["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps({"connections_file_path": "secrets.json"})
    opens("economic_secret")


def opens(conn_id: str) -> None:
    """The hook takes the connection: both tokens and the address. In a process of its own, which reads the configuration anew."""
    code = f"""
from economic.client.hook import EconomicHook
session = EconomicHook({conn_id!r}).get_conn()
print(type(session).__name__, session.auth is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "PinnedSession True", done.stderr[-1500:]


def plugin_is_registered_once() -> None:
    from airflow.plugins_manager import _get_plugins

    plugins, errors = _get_plugins()
    assert [plugin.name for plugin in plugins].count("economic") == 1
    assert not errors, errors


def page_can_be_made() -> None:
    from economic.web.ui_plugin import EconomicPlugin

    (made,) = EconomicPlugin().fastapi_apps
    assert made["url_prefix"] == "/economic", made
    assert {"/", "/api/agreements", "/static/{name}"} <= {route.path for route in made["app"].routes}
    assert {"page.html", "page.js", "page.css"} <= set(made["app"].state.files)


def package_is_the_installed_one_and_finds_its_sql() -> None:
    import economic
    from economic.db.sql import sql_folder

    home = Path(economic.__file__).parent
    assert home.is_relative_to(sys.prefix), home
    assert sql_folder() == home / "_sql"


def command_line_prints_the_schema() -> None:
    folder = subprocess.run(
        [sys.executable, "-m", "economic", "grants"], capture_output=True, text=True, check=True
    ).stdout
    assert "economic_writer" in (Path(folder.strip()) / "grant_writer.sql").read_text()
    command = [sys.executable, "-m", "economic", "migrate", "--print"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "create table economic.invoice" in printed


def dag_files_of_the_package_are_read_where_they_are_copied() -> None:
    from airflow.dag_processing.dagbag import DagBag

    command = [sys.executable, "-m", "economic", "dags"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert Path(printed.strip()).is_relative_to(sys.prefix), printed
    target = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    for file in Path(printed.strip()).glob("*.py"):
        shutil.copy(file, target)
    bag = DagBag(target)
    assert not bag.import_errors, bag.import_errors
    assert "economic_invoice_sync" in bag.dags, sorted(bag.dags)


def airflow(*words: str) -> str:
    done = subprocess.run(["airflow", *words], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"airflow {words[0]} {words[1]}: {done.stderr[-1000:]}")
    return done.stdout


CHECKS: tuple[Callable[[], None], ...] = (
    connection_type_is_known,
    connection_by_the_airflow_command,
    connection_by_the_environment,
    connection_by_a_secrets_backend,
    plugin_is_registered_once,
    page_can_be_made,
    package_is_the_installed_one_and_finds_its_sql,
    command_line_prints_the_schema,
    dag_files_of_the_package_are_read_where_they_are_copied,
)


def main() -> int:
    """Try everything; 0 when all of it worked."""
    failed = 0
    for check in CHECKS:
        try:
            check()
        except Exception as error:
            failed += 1
            print(f"FAILED  {check.__name__.replace('_', ' ')}: {type(error).__name__}: {error}")
        else:
            print(f"ok      {check.__name__.replace('_', ' ')}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
