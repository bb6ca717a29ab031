"""Let Airbyte's connector for e-conomic read from another address; runs in the connector's own environment.

    python airbyte_source.py http://127.0.0.1:8765/ APP_SECRET_TOKEN AGREEMENT_GRANT_TOKEN invoices_booked …

The connector is a manifest run by Airbyte's CDK. Its base URL is the real host and no setting changes that, so the
installed manifest is read as it is and that one value is replaced. Everything else is the connector's: paths,
parameters, headers, paging, extraction, schemas. It prints Airbyte's messages, one JSON document per line, and last
what the records have against the connector's own schemas.
"""

from __future__ import annotations

import json
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import init_logger
from airbyte_cdk.sources.declarative.manifest_declarative_source import ManifestDeclarativeSource
from jsonschema import Draft7Validator

REAL_HOST = "https://restapi.e-conomic.com/"


def manifest(base_url: str) -> dict[str, Any]:
    """Return the connector's manifest with another base URL."""
    text = pkgutil.get_data("source_visma_economic", "manifest.yaml")
    assert text is not None
    document: dict[str, Any] = yaml.safe_load(text)
    requester = document["definitions"]["base_requester"]
    assert requester["url_base"] == REAL_HOST
    requester["url_base"] = base_url
    return document


def catalog(source: ManifestDeclarativeSource, config: dict[str, str], names: list[str]) -> dict[str, Any]:
    """Choose streams to read in full."""
    known = {stream.name: stream for stream in source.streams(config)}
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": dict(known[name].get_json_schema()),
                    "supported_sync_modes": ["full_refresh"],
                },
                "sync_mode": "full_refresh",
                "destination_sync_mode": "overwrite",
            }
            for name in names
        ]
    }


def read(source: ManifestDeclarativeSource, config: dict[str, str], chosen: dict[str, Any]) -> Iterator[str]:
    """The connector's messages, a line each."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"config": Path(folder) / "config.json", "catalog": Path(folder) / "catalog.json"}
        files["config"].write_text(json.dumps(config), encoding="utf-8")
        files["catalog"].write_text(json.dumps(chosen), encoding="utf-8")
        options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
        entrypoint = AirbyteEntrypoint(source)
        yield from entrypoint.run(entrypoint.parse_args(["read", *options]))


def main(base_url: str, app_secret_token: str, agreement_grant_token: str, *names: str) -> None:
    """Read the streams and judge their records."""
    init_logger()
    source = ManifestDeclarativeSource(source_config=manifest(base_url))
    config = {"app_secret_token": app_secret_token, "agreement_grant_token": agreement_grant_token}
    chosen = catalog(source, config, list(names))
    validators = {
        one["stream"]["name"]: Draft7Validator(one["stream"]["json_schema"]) for one in chosen["streams"]
    }
    complaints: set[str] = set()
    for line in read(source, config, chosen):
        print(line)
        message = json.loads(line)
        if message["type"] == "RECORD":
            record = message["record"]
            for error in validators[record["stream"]].iter_errors(record["data"]):
                place = ".".join(str(step) for step in error.absolute_path)
                complaints.add(f"{record['stream']}: {place}: {error.message}")
    print(json.dumps({"type": "SCHEMA", "complaints": sorted(complaints)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
