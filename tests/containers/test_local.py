"""docker-compose.yaml on a real engine with LocalExecutor: it syncs, it heals, it keeps its data, it keeps its secrets."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from containers import images
from containers.canaries import assert_nothing_shows
from containers.conftest import say
from containers.engine import Engine, EngineFailed
from containers.freshness import (
    assert_all_lines_are_proven,
    assert_moves_show,
    assert_quick_sync_proves,
    assert_roles_see_their_share,
)
from containers.stand import SLOW, Stack

pytestmark = pytest.mark.filterwarnings("ignore")
COPY = "select count(*), sum(net_amount), md5(string_agg(invoice_number || ' ' || gross_amount, ',' order by invoice_number)) from economic.invoice"
ROOT = Path(__file__).resolve().parents[2]
DUMP = "/var/lib/postgresql/dump"


def test_the_first_up_syncs_the_simulator(local: Stack) -> None:
    local.demo_ended()
    said = local.compose("logs", "--no-color", "demo")
    assert local.inspect("demo")["State"]["ExitCode"] == 0, said
    assert "fetched              2500" in said, said
    # Airflow makes up for the last tick of the schedule at once: whichever run comes first creates them all
    assert local.query("select sum((statistics->>'created')::int) from economic.sync_run") == "2500"
    assert local.query("select count(*) from economic.invoice") == "2500"
    local.wait("every run to end", lambda: local.run_states() <= {"success", "failed"}, 120)
    assert local.run_states() == {"success"}
    unended = "select count(*) from economic.sync_run where scope = 'full' and status not like 'completed%'"
    assert local.query(unended) == "0"


def test_first_up_proves_lines_and_looks_quickly(local: Stack) -> None:
    assert_all_lines_are_proven(local)
    assert_quick_sync_proves(local)
    writer = local.rest("GET", "/api/v2/connections/economic_postgres")
    assert writer["login"] == "economic_sync"


def test_a_forced_run_over_rest_goes_through(local: Stack) -> None:
    run = local.trigger(force=True)
    assert local.ended(run) == "success"
    assert local.verdict(run) == "completed true true"
    assert local.query("select force from economic.sync_run where run_id = :'run'", run=run) == "t"


def test_nothing_runs_as_root_or_changes_code(local: Stack) -> None:
    ours = dict.fromkeys(("api-server", "scheduler", "dag-processor", "simulator"), "50000")
    for service, user in (ours | dict.fromkeys(("metadata-db", "invoice-db"), "999")).items():
        status = local.execute(service, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == [user] * 4, service
        assert int(facts["CapEff"], 16) == 0, service
        assert facts["NoNewPrivs"] == "1", service
    dags = "/opt/economic/dags"
    for attempt in (
        f"echo >> {dags}/economic_invoice_sync.py",
        f"mv {dags} {dags}.old",
        "echo >> /opt/economic/bin/airflow",
    ):
        with pytest.raises(EngineFailed):
            local.execute("scheduler", "sh", "-c", attempt)
    with pytest.raises(EngineFailed):
        local.execute("simulator", "sh", "-c", "touch /opt/airflow/written")


def test_sync_owns_nothing(local: Stack) -> None:
    owner = "select nspowner::regrole from pg_namespace where nspname = 'economic'"
    assert local.query(owner) == "economic_owner"
    superusers = "select string_agg(rolname, ',' order by rolname) from pg_roles where rolsuper"
    assert local.query(superusers) == "economic"


def test_sync_outlives_a_restart_of_its_database(local: Stack) -> None:
    local.simulator("faults", faults=[SLOW])
    run = local.trigger()
    local.in_mid_sync()
    local.engine.docker("restart", local.container("invoice-db"))
    assert local.ended(run) == "success"
    say(f"database restarted in mid-sync: {local.tries(run)}")
    assert local.verdict(run) == "completed true true"
    struck = """select started_at < pg_postmaster_start_time() and pg_postmaster_start_time() < finished_at
        from economic.sync_run where run_id = :'run'"""
    assert local.query(struck, run=run) == "t", "the database was not restarted in mid-sync"


def test_sync_outlives_a_restart_of_everything(local: Stack) -> None:
    local.simulator("faults", faults=[SLOW])
    run = local.trigger()
    local.in_mid_sync()
    local.compose("stop", "--timeout", "30")
    say(f"stopped in mid-sync; every service well again after {local.up():.0f} s")
    local.simulator("faults", faults=[])
    assert local.ended(run, 600) == "success"
    say(f"stopped in mid-sync: {local.tries(run)}")
    assert local.verdict(run) == "completed true true"


def test_a_database_that_comes_up_last_is_awaited(local: Stack) -> None:
    """After a power cut the engine starts containers in any order; here the copy's database is minutes late."""
    local.demo_ended()
    local.start_without("invoice-db")
    try:
        began, run = time.monotonic(), local.trigger()
        with pytest.raises(EngineFailed, match="503"):
            local.rest("GET", "/economic/api/agreements/economic_invoice_sync")
        local.wait(
            "the first try to give up", lambda: local.tries(run)["fetch-pages"][0] == "up_for_retry", 300
        )
        say(f"first try without a database ended after {time.monotonic() - began:.0f} s")
    finally:
        local.engine.docker("start", local.container("invoice-db"))
    began = time.monotonic()
    assert local.ended(run, 600) == "success"
    say(f"database up last: {local.tries(run)}, all well {time.monotonic() - began:.0f} s later")
    assert local.verdict(run) == "completed true true"
    finished = local.query("select max(sync_id) from economic.sync_run")
    assert_quick_sync_proves(local, after=finished)
    held = "select count(*) from economic.sync_lease where holder is not null"
    local.wait("the lease to be free", lambda: local.query(held) == "0", 60)


def test_down_and_up_keep_the_data(local: Stack) -> None:
    last = "select max(sync_id) from economic.sync_run where status <> 'running'"
    before = local.query(COPY), local.query(last)
    runs = local.rest("GET", "/api/v2/dags/economic_invoice_sync/dagRuns")["total_entries"]
    local.down()
    local.up()
    assert local.query(COPY) == before[0]
    assert local.query("select 1 from economic.sync_run where sync_id = :'last'", last=before[1]) == "1"
    local.demo_ended()
    assert local.rest("GET", "/api/v2/dags/economic_invoice_sync/dagRuns")["total_entries"] > runs
    newest = """select status, statistics->>'unchanged' from economic.sync_run
        where scope = 'full' order by sync_id desc limit 1"""
    assert local.query(newest) == "completed|2500"


def test_a_dump_can_be_restored_and_synced_again(local: Stack) -> None:
    """The commands of docs/operations.md; the dump stays inside the container, for it is no text."""
    before = local.query(COPY), int(local.query("select max(sync_id) from economic.sync_run"))
    local.execute("invoice-db", "pg_dump", "-U", "economic", "-Fc", "-f", DUMP, "economic")
    local.compose("stop", "--timeout", "30", "scheduler")
    psql = ("psql", "-U", "economic", "-v", "ON_ERROR_STOP=1", "-q", "-d")
    for statement in ("drop database economic with (force)", "create database economic"):
        local.execute("invoice-db", *psql, "postgres", "-c", statement)
    local.execute("invoice-db", "pg_restore", "-U", "economic", "-d", "economic", "--exit-on-error", DUMP)
    script = (ROOT / "deploy" / "after_restore.sql").read_text()
    local.execute("invoice-db", *psql, "economic", stdin=script)
    local.compose("start", "scheduler")
    local.wait("every service to be well", local.is_well, 300)
    run = local.trigger()
    assert local.ended(run) == "success"
    assert local.verdict(run) == "completed true true"
    assert local.query(COPY) == before[0]
    assert int(local.query("select max(sync_id) from economic.sync_run")) > before[1] + 1_000_000


def test_moves_show_within_about_a_minute(local: Stack) -> None:
    assert_moves_show(local)


def test_each_role_sees_its_share_of_lines(local: Stack) -> None:
    assert_roles_see_their_share(local)


def test_image_holds_what_is_needed_only(engine: Engine) -> None:
    def inside(program: str, *words: str) -> str:
        options = ("--rm", "--network", "none", "--entrypoint", program)
        return engine.docker("run", *options, images.PROJECT, *words)

    dags = {file.name for file in (ROOT / "dags").glob("*.py")}
    brought = inside("python", "-m", "economic", "dags").strip()
    assert set(inside("ls", "/opt/economic/dags").split()) == dags
    inside("diff", "-r", "--exclude=__pycache__", brought, "/opt/economic/dags")
    assert "create table economic.invoice_line" in inside("python", "-m", "economic", "migrate", "--print")
    strange = "-name .env* -o -name .git -o -path *simulator*"
    assert inside("find", "/opt", "/home", *strange.split()) == ""
    keys = "grep -rlE 'BEGIN [A-Z ]*PRIVATE KEY' /opt --exclude='*.py' --exclude='*.pyc'"
    (key,) = inside("bash", "-c", keys).split()
    assert key.endswith("/tornado/test/test.key"), "a library's own, which everybody has"


def test_no_secret_shows(local: Stack) -> None:
    assert_nothing_shows(local)
