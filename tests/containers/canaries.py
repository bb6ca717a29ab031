"""Looks for the secrets where they must not be: images, what containers were made with, logs, the tasks' log files."""

from __future__ import annotations

import json
import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from containers import images
from containers.stand import Stack
from tests.support.secret_scan import spelled

AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor")


def assert_nothing_shows(stack: Stack) -> None:
    """No secret of .env in anything that the engine or the logs show.

    The search itself is tried first: what is there on purpose must be found.
    """
    # As it is, in a URL, in JSON, in hex and within base64.
    marks = {
        name: {*spelled(value), quote(value, safe="").encode(), json.dumps(value)[1:-1].encode()}
        for name, value in stack.canaries().items()
    }
    places = dict(_places(stack))
    assert b"economic" in places["logs"], "the logs are empty, so nothing was searched"
    secret = stack.execute("api-server", "cat", "/run/secrets/fernet_key").encode()
    assert secret in marks["AIRFLOW_FERNET_KEY"], "the secrets are not where the search thinks they are used"
    for place, text in places.items():
        shown = [name for name, forms in marks.items() if any(form in text for form in forms)]
        assert not shown, f"{place} shows {shown}"
    _search_image(stack, marks)


def _places(stack: Stack) -> Iterator[tuple[str, bytes]]:
    for service in stack.compose("ps", "-a", "--services").split():
        if service == "simulator":
            continue  # it is told which tokens to let in
        yield f"inspect {service}", json.dumps(stack.inspect(service)).encode()
    yield "logs", "".join([*stack.logs, stack.compose("logs", "--no-color")]).encode()
    yield "the image's history", stack.engine.docker("history", "--no-trunc", images.PROJECT).encode()
    yield "the image's configuration", stack.engine.docker("inspect", images.PROJECT).encode()
    found = stack.execute("api-server", "sh", "-c", "find /opt/airflow/logs -type f -exec cat {} +")
    assert "Invoice sync completed" in found
    yield "the tasks' logs", found.encode()
    for service in AIRFLOW_SERVICES:
        # the environment of the running process, as others in the container see it
        variables = stack.execute(service, "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ")
        yield f"environment of {service}", variables.encode()


def _search_image(stack: Stack, marks: dict[str, set[bytes]]) -> None:
    """Every layer of the image, as `docker save` writes them, also for what was planted in the checkout it was built from."""
    marks = marks | {"a file of the checkout": set(spelled(images.PLANTED))}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        stack.engine.docker("save", "--output", archive, images.PROJECT)
        with archive.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as layers:
            assert len(layers) > 100_000_000, "the image is too small to be ours"
            assert layers.find(b"def lines_dag(") >= 0, "the layers cannot be searched"
            shown = [name for name, forms in marks.items() if any(layers.find(form) >= 0 for form in forms)]
            assert not shown, f"a layer of the image holds {shown}"
