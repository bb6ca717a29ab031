"""docker-compose.yaml, changed as far as one network namespace with nothing but loopback asks for, and driven as a person would drive it."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from containers import images
from containers.engine import Engine, EngineFailed, output
from dev import tools

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "economic-compose-test"
STAND_INS = {"postgres:17-bookworm": images.POSTGRES, "redis:7.2-bookworm": images.REDIS}
NETNS = "netns"
SLOW = {"match": "/invoices/booked", "kind": "slow", "at": "all", "seconds": 1.0}
Model = dict[str, Any]


class Hopeless(EngineFailed):
    """A wait that is over without what was waited for."""


def transformed(model: Model, tokens: tuple[str, str] | None = None) -> Model:
    """The resolved file for an engine without a network.

    :param tokens: the pair that the simulator lets in, beside e-conomic's public one.

    Every service joins one network namespace that has loopback alone. Each name gets a loopback address of its own, so that two servers can have the
    same port as they do in the file. Images are those that were built here; a second worker is written out, since copies of a service would share a name.
    """
    changed = copy.deepcopy(model)
    changed.pop("name", None)
    services: dict[str, Model] = changed["services"]
    addresses = {name: f"127.0.1.{number}" for number, name in enumerate(sorted(services), start=1)}
    for name, service in services.items():
        for key in ("networks", "ports", "build"):
            service.pop(key, None)
        service["image"] = STAND_INS.get(service["image"], service["image"])
        service["network_mode"] = f"service:{NETNS}"
        needed = service.get("depends_on", {})
        service["depends_on"] = {other: how for other, how in needed.items() if other in services}
        if service["image"] == images.POSTGRES:
            service["command"] = ["postgres", "-c", f"listen_addresses={addresses[name]}"]
            test = json.dumps(service["healthcheck"]["test"]).replace("127.0.0.1", addresses[name])
            service["healthcheck"]["test"] = json.loads(test)
    if tokens is not None:
        pair = zip(("--app-secret-token", "--agreement-grant-token"), tokens, strict=True)
        services["simulator"]["entrypoint"] += [word for words in pair for word in words]
    if "worker" in services:
        services["worker-2"] = _second(services["worker"])
    services[NETNS] = {
        "image": images.BASE,
        "command": ["sleep", "infinity"],
        "network_mode": "none",
        "hostname": "compose-test",
        "extra_hosts": [f"{name}={address}" for name, address in addresses.items()],
        "init": True,
        "stop_grace_period": "1s",
    }
    changed.pop("networks", None)
    changed.pop("x-required", None)
    return changed


def _second(worker: Model) -> Model:
    second: Model = json.loads(json.dumps(worker).replace("celery@$$HOSTNAME", "second@$$HOSTNAME"))
    second["command"] = [*worker["command"], "--celery-hostname", "second@%h"]
    return second


@dataclass
class Stack:
    """The project on the engine: started, stopped, asked, hurt.

    :param variables: what `.env` holds.
    """

    engine: Engine
    folder: Path
    variables: dict[str, str]
    profiles: tuple[str, ...] = ()
    logs: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Write .env and the changed file."""
        self.folder.mkdir(exist_ok=True)
        text = "".join(f"{name}={value}\n" for name, value in self.variables.items())
        (self.folder / ".env").write_text(text)
        model = json.loads(self._compose(ROOT / "docker-compose.yaml", "config", "--format", "json"))
        app_secret, grant = (
            self.variables.get(f"ECONOMIC_{name}_TOKEN") for name in ("APP_SECRET", "AGREEMENT_GRANT")
        )
        tokens = (app_secret, grant) if app_secret and grant else None
        (self.folder / "compose.json").write_text(json.dumps(transformed(model, tokens), indent=1))

    def compose(self, *words: str, timeout: float = 900.0) -> str:
        """A command of Compose's on the changed file."""
        return self._compose(self.folder / "compose.json", *words, timeout=timeout)

    def _compose(self, file: Path, *words: str, timeout: float = 900.0) -> str:
        options = [f"--project-name={PROJECT}", f"--project-directory={ROOT}", f"--file={file}"]
        options += [f"--env-file={self.folder / '.env'}", *(f"--profile={name}" for name in self.profiles)]
        return output(tools.compose(), *options, *words, environment=self.engine.environment, timeout=timeout)

    def up(self) -> float:
        """Start everything and wait until it is well; how long that took.

        :raises EngineFailed: it is not well in time; the message holds the states and the last lines of the logs.
        """
        began = time.monotonic()
        try:
            self.compose("up", "--detach", "--no-build", timeout=600)
            self.wait("every service to be well", self.is_well, 300)
        except EngineFailed as error:
            raise EngineFailed(
                f"{error}\n{self.compose('ps', '-a')}\n{self.compose('logs', '--tail', '60')}"
            ) from error
        return time.monotonic() - began

    def start_without(self, missing: str) -> None:
        """Stop everything, then start all but one, as an engine does when its machine starts: in no order, asking for nobody's health."""
        self.compose("stop", "--timeout", "30")
        services = self.compose("ps", "-a", "--services").split()
        lasting = [name for name in services if name not in {NETNS, "init", "demo", missing}]
        self.engine.docker("start", *map(self.container, [NETNS, *lasting]))
        self.wait("the others to be well", lambda: self.is_well(missing), 300)

    def is_well(self, without: str = "") -> bool:
        states = [json.loads(line) for line in self.compose("ps", "-a", "--format", "json").splitlines()]
        for state in states:
            if state["Service"] == "init":
                if state["State"] == "exited" and state["ExitCode"]:
                    raise Hopeless(f"init ended with {state['ExitCode']}.")
            elif state["Service"] not in {"demo", without} and (
                state["State"] != "running" or state["Health"] not in {"healthy", ""}
            ):
                return False
        return bool(states)

    def down(self, *options: str) -> None:
        """Take everything down; what was logged until then is kept for the search."""
        self.logs.append(self.compose("logs", "--no-color"))
        self.compose("down", "--timeout", "30", *options)

    def container(self, service: str) -> str:
        return self.compose("ps", "-a", "-q", service).split()[0]

    def inspect(self, service: str) -> Model:
        found: list[Model] = json.loads(self.engine.docker("inspect", self.container(service)))
        return found[0]

    def execute(self, service: str, *words: str, stdin: str | None = None) -> str:
        return self.engine.docker("exec", "-i", self.container(service), *words, stdin=stdin, timeout=180)

    def query(self, sql: str, **values: str) -> str:
        """A query on the invoice database, with values as `:'name'`; its rows, fields parted by `|`."""
        given = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        return self.execute(
            "invoice-db", "psql", "-U", "economic", "-d", "economic", "-At", *given, stdin=sql
        ).strip()

    def simulator(self, action: str, **payload: Any) -> Model:
        """An action of the simulator's control endpoint."""
        url = f"http://127.0.0.1:8000/__control__/{action}"
        said = self.execute("simulator", "curl", "-fsS", "-d", "@-", url, stdin=json.dumps(payload))
        answer: Model = json.loads(said)
        return answer

    def rest(self, method: str, path: str, body: Model | None = None) -> Any:
        """A request to Airflow's REST API as the administrator; the passwords travel by standard input."""
        token = ["-H", f"Authorization: Bearer {self._token()}"] if path != "/auth/token" else []
        data = ["-H", "Content-Type: application/json", "-d", "@-"] if body is not None else []
        words = ["curl", "-fsS", "--max-time", "60", "-X", method, *token, *data]
        said = json.dumps(body) if body is not None else None
        return json.loads(self.execute("api-server", *words, f"http://127.0.0.1:8080{path}", stdin=said))

    def _token(self) -> str:
        password = self.variables["AIRFLOW_ADMIN_PASSWORD"]
        answer = self.rest("POST", "/auth/token", {"username": "admin", "password": password})
        return str(answer["access_token"])

    def trigger(self, **conf: Any) -> str:
        """Start a run of the DAG over REST; its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self.rest("POST", "/api/v2/dags/economic_invoice_sync/dagRuns", body)["dag_run_id"])

    def state(self, run_id: str) -> str:
        return str(self.rest("GET", f"/api/v2/dags/economic_invoice_sync/dagRuns/{run_id}")["state"])

    def run_states(self) -> set[str]:
        """The states of all runs of the DAG so far."""
        found = self.rest("GET", "/api/v2/dags/economic_invoice_sync/dagRuns")
        return {str(run["state"]) for run in found["dag_runs"]}

    def tries(self, run_id: str) -> dict[str, tuple[str, int, str]]:
        """State, number of tries and host of each task."""
        found = self.rest("GET", f"/api/v2/dags/economic_invoice_sync/dagRuns/{run_id}/taskInstances")
        return {
            task["task_id"]: (str(task["state"]), task["try_number"], str(task["hostname"]))
            for task in found["task_instances"]
        }

    def ended(self, run_id: str, seconds: float = 420) -> str:
        """Wait for a run to end; how."""

        def look() -> str | None:
            state = self.state(run_id)
            return state if state in {"success", "failed"} else None

        found: str = self.wait(f"run {run_id} to end", look, seconds)
        return found

    def demo_ended(self) -> None:
        """Wait until the demo has seen its run of the DAG end; each `up` starts it again."""
        self.wait("the demo to end", lambda: self.inspect("demo")["State"]["Status"] == "exited", 300)

    def verdict(self, run_id: str) -> str:
        """Return what the newest sync of a run says of itself: status, complete, reconciled."""
        sql = """select status || ' ' || complete || ' ' || reconciled from economic.sync_run
            where run_id = :'run' order by sync_id desc limit 1"""
        return self.query(sql, run=run_id)

    def in_mid_sync(self, pages: int = 3) -> None:
        """Wait until a sync that has stored some pages in staging is at work."""
        sql = (
            "select coalesce((select cardinality(staged_rows) from economic.sync_run "
            "where status = 'running' and scope = 'full' order by sync_id desc limit 1), 0)"
        )
        self.wait("a sync to be half done", lambda: int(self.query(sql)) >= pages, 240)

    def wait(self, what: str, look: Callable[[], Any], seconds: float) -> Any:
        """Return what `look` returns as soon as that is true; refusals of something that is just starting are not the answer yet."""
        until = time.monotonic() + seconds
        last = ""
        while time.monotonic() < until:
            try:
                if found := look():
                    return found
            except Hopeless:
                raise
            except EngineFailed as error:
                last = str(error)
            time.sleep(1)
        raise EngineFailed(f"Waited {seconds:.0f} s in vain for {what}. {last[-500:]}")

    def canaries(self) -> dict[str, str]:
        """The secrets' values by name, of those long enough to be looked for."""
        return {
            name: value
            for name, value in self.variables.items()
            if re.search("PASSWORD|KEY|SECRET|TOKEN", name) and len(value) > 8
        }
