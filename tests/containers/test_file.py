"""docker-compose.yaml and Dockerfile as they stand: what Compose makes of them, and what every service must have."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import simulator
from dev import tools
from dev.release import environment_file

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
SECRETS = environment_file.fresh_secrets()
TOKENS = {
    "ECONOMIC_APP_SECRET_TOKEN": "canary-app-secret-token",
    "ECONOMIC_AGREEMENT_GRANT_TOKEN": "canary-grant",
}
ONE_SHOT = {"init", "demo"}
OURS = {"init", "api-server", "scheduler", "dag-processor", "worker", "simulator", "demo"}


def compose(folder: Path, variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run Compose on the file with these variables as its .env and nothing else of them in the environment."""
    file = folder / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    command = [str(tools.compose()), "--env-file", str(file), "-f", str(FILE), *words]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file as Compose understands it, with all profiles."""
    done = compose(
        tmp_path_factory.mktemp("compose"),
        SECRETS | TOKENS,
        *("--profile", "celery", "--profile", "demo", "config", "--format", "json"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def services(resolved: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(resolved)["services"]
    return found


@pytest.mark.parametrize("name", [*SECRETS, *TOKENS])
def test_compose_names_a_secret_not_set(name: str, tmp_path: Path) -> None:
    """A token may be empty, as it is for the demo; a secret may not."""
    others = {key: text for key, text in (SECRETS | TOKENS).items() if key != name}
    missing = compose(tmp_path, others, "config", "--quiet")
    assert missing.returncode != 0
    assert f"required variable {name} is missing" in missing.stderr
    assert "./run install --env" in missing.stderr
    empty = compose(tmp_path, others | {name: ""}, "config", "--quiet")
    assert (empty.returncode == 0) == (name in TOKENS), empty.stderr


def test_compose_takes_the_file_of_run_env(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    assert environment_file.main(target) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    written = target.read_text()
    given = dict(line.split("=", 1) for line in written.splitlines() if line and not line.startswith("#"))
    assert compose(tmp_path, given, "config", "--quiet").returncode == 0
    assert environment_file.main(target) == 1
    assert target.read_text() == written
    again = environment_file.fresh_secrets()
    assert len({*again.values(), *SECRETS.values()}) == len(again) + len(SECRETS)


def test_no_secret_has_a_default_or_is_shown(resolved: str) -> None:
    """`docker inspect` shows what a container was made with; secrets are named there, their values are not."""
    made_with = json.loads(resolved)
    assert {one["environment"] for one in made_with["secrets"].values()} == set(SECRETS) | set(TOKENS)
    del made_with["x-required"]
    text = json.dumps(made_with)
    for name, value in (SECRETS | TOKENS).items():
        assert value not in text, name
    assert not re.search(r"\$\{[A-Z_]*(?:PASSWORD|SECRET|KEY|TOKEN)[A-Z_]*:?-", FILE.read_text())


def test_each_service_is_confined_and_well_known(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "build" in service} == OURS
    for name, service in services.items():
        once = name in ONE_SHOT
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert not service.get("privileged"), name
        assert service["user"] == ("50000:0" if name in OURS else "999:999"), name
        assert (service["cap_drop"], service.get("cap_add")) == (["ALL"], None), name
        # Compose itself refuses read_only beside secrets that come from variables.
        assert service.get("read_only", False) == (not service.get("secrets")), name
        assert once or service["healthcheck"]["test"], name
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, (name, other)
    assert "api-server" in services["scheduler"]["depends_on"]
    assert set(services["worker"]["depends_on"]) >= {"api-server", "redis", "invoice-db"}


def test_airflow_holds_no_superuser_of_the_copy(services: dict[str, dict[str, Any]]) -> None:
    holders = {
        name
        for name, service in services.items()
        for secret in service.get("secrets", [])
        if secret["source"].startswith("invoice_db")
    }
    assert holders == {"invoice-db", "init"}
    page = services["api-server"]["environment"]["ECONOMIC_POSTGRES_CONN_ID"]
    assert page == "economic_postgres_page"
    for name in ("scheduler", "dag-processor", "worker"):
        assert services[name]["environment"]["ECONOMIC_POSTGRES_CONN_ID"] != page


def test_an_image_by_digest_is_a_setting(tmp_path: Path) -> None:
    digest = "mirror.example/image@sha256:" + "0" * 64
    names = ("AIRFLOW_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE")
    done = compose(
        tmp_path,
        SECRETS | TOKENS | dict.fromkeys(names, digest),
        *("--profile", "celery", "config", "--format", "json"),
    )
    made = json.loads(done.stdout)["services"]
    assert {made[name]["image"] for name in ("metadata-db", "invoice-db", "redis")} == {digest}
    assert made["api-server"]["build"]["args"] == {"AIRFLOW_IMAGE": digest}
    assert all(f"#{name}=" in environment_file.text("") for name in names)


def test_dags_lie_in_folders_of_root() -> None:
    """Keep the DAGs out of /opt/airflow: Airflow's user may write it, and so exchange what is in it."""
    text = (ROOT / "Dockerfile").read_text()
    assert "AIRFLOW__CORE__DAGS_FOLDER=/opt/economic/dags" in text
    (last,) = re.findall(r"^COPY .*", text.rpartition("FROM ")[2], re.MULTILINE)
    assert last == "COPY --from=build --chown=0:0 /opt/economic /opt/economic"


def test_ports_and_folders_are_open_as_needed(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["target"] for port in ports} == {8080, 5432}
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    assert all(mount["read_only"] for mount in mounts if mount["type"] == "bind")
    volumes = {mount["source"] for mount in mounts if mount["type"] == "volume"}
    assert volumes == {"metadata", "invoices", "broker", "airflow-logs"}


def test_airflow_gets_every_setting_of_the_package(services: dict[str, dict[str, Any]]) -> None:
    source = (ROOT / "plugins" / "economic" / "config" / "settings.py").read_text()
    variables = set(re.findall(r'"((?:ECONOMIC|AUTO)_[A-Z_]+)"', source))
    for name in ("api-server", "scheduler", "dag-processor", "worker"):
        assert variables <= set(services[name]["environment"]), name
    worker = services["worker"]
    assert [secret["source"] for secret in worker["secrets"]] == ["redis_password"]
    assert not {name for name in worker["environment"] if re.search("FERNET|JWT|SECRET_KEY|CONN_CMD", name)}


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    foreign = {service["image"] for service in services.values() if "build" not in service}
    assert foreign == {"postgres:17-bookworm", "redis:7.2-bookworm"}
    locked = (ROOT / "requirements" / "container.txt").read_text()
    (version,) = re.findall(r"^apache-airflow==(\S+)", locked, re.MULTILINE)
    (image,) = re.findall(r"^ARG AIRFLOW_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image == f"apache/airflow:slim-{version}-python3.13"
    assert {services[name]["build"]["args"]["AIRFLOW_IMAGE"] for name in OURS} == {image}


def test_the_image_holds_the_versions_that_were_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))

    image, tested = pins("container"), pins("dev")
    assert len(image) > 50
    assert image.items() <= tested.items()


def test_build_gets_what_it_copies_no_secret() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert "**/.env*" in ignored
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    sources = {word for line in copied for word in line.split()}
    assert len(sources) > 5
    for source in sources:
        assert any(line.startswith(f"!{source.rstrip('/')}") for line in ignored), source


SCHEMA = ("check-jsonschema", "--builtin-schema")
WORKFLOW = ROOT / ".github/workflows/ci.yml"


@pytest.mark.parametrize(
    "command",
    [
        (*SCHEMA, "vendor.compose-spec", str(FILE)),
        (*SCHEMA, "vendor.github-workflows", str(WORKFLOW)),
        ("hadolint", str(ROOT / "Dockerfile")),
    ],
)
def test_the_linters_find_nothing(command: tuple[str, ...]) -> None:
    done = subprocess.run([str(tools.program(command[0])), *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_skips_no_browser_test() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    testing = [job for job in jobs.values() if {"run": "make test"} in job["steps"]]
    assert testing
    assert [job.get("env", {}).get("CI_NO_SKIP") for job in testing] == ["1"] * len(testing)


def test_the_simulator_is_well_when_it_answers(services: dict[str, dict[str, Any]]) -> None:
    """The check is a request that the simulator must accept, whatever tokens it was started with."""
    command = services["simulator"]["healthcheck"]["test"][1:]
    with simulator.process(invoices=10) as books:
        address = books.base_url.removeprefix("http://")
        done = subprocess.run(
            [word.replace("localhost:8000", address) for word in command], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
