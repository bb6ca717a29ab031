"""The provider's entry in Airflow: the connection type `economic` and its form. Data only."""

from __future__ import annotations

from typing import Any

NAME = "Visma e-conomic"


def get_provider_info() -> dict[str, Any]:
    """Return the entry for Airflow's provider list."""
    token = {"type": ["string", "null"], "format": "password"}
    return {
        "package-name": "airflow-provider-economic",
        "name": NAME,
        "description": "Keeps a PostgreSQL copy of a company's booked e-conomic invoices.",
        "integrations": [
            {
                "integration-name": NAME,
                "external-doc-url": "https://restdocs.e-conomic.com",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": NAME, "python-modules": ["economic.client.hook"]}],
        # No "plugins": the package's entry point brings the page. Named here too, it would be
        # reported as registered twice by an Airflow that discovers its providers at once.
        "connection-types": [
            {
                "connection-type": "economic",
                "hook-class-name": "economic.client.hook.EconomicHook",
                "hook-name": NAME,
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "password", "schema"],
                    # Airflow's Test button fails on a connection without a stored port.
                    "relabeling": {"host": "API base URL", "port": "Port (write 443)"},
                    "placeholders": {"host": "https://restapi.e-conomic.com", "port": "443"},
                },
                "conn-fields": {
                    "app_secret_token": {
                        "label": "App secret token",
                        "description": "Of the app, from e-conomic's developer agreement. Stored encrypted, never shown again.",
                        "schema": token,
                    },
                    "agreement_grant_token": {
                        "label": "Agreement grant token",
                        "description": "Of the company: made when one of its administrators opens the app's installation link and accepts.",
                        "schema": token,
                    },
                    "openapi_host": {
                        "label": "URL of the newer services",
                        "description": "For invoice lines. Leave it empty: https://apis.e-conomic.com, or the base URL above when that is not e-conomic's.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_http": {
                        "label": "Allow plain http",
                        "description": "Only for a test server: the tokens travel unprotected.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                },
            }
        ],
    }
