"""The plugin that Airflow loads: the page "e-conomic sync" and its entry in the menu."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from airflow.sdk.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

NAME = "e-conomic sync"
URL_PREFIX = "/economic"

# In the address itself, so that the menu needs neither a request for it nor a right on the page.
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{colour}' "
    "stroke-width='1.75' stroke-linecap='round' stroke-linejoin='round'>"
    "<path d='M6 2.75h8l4 4V11'/><path d='M6 2.75v18.5h5'/><path d='M13.5 2.75V7H18'/>"
    "<path d='M9 11h5M9 15h2.5'/><path d='M21 16.5a3.75 3.75 0 0 0-6.6-1.6M13.5 17.5a3.75 3.75 0 0 0 6.6 1.6'/>"
    "<path d='M14.2 12.6v2.5h2.5M20.3 21.4v-2.5h-2.5'/></svg>"
)


def _icon(colour: str) -> str:
    return "data:image/svg+xml," + quote(_ICON.format(colour=colour))


class EconomicPlugin(AirflowPlugin):
    """Adds the page to Airflow's menu Browse."""

    name = "economic"
    # Without a leading slash the address works below a path prefix; with the trailing one it is not
    # answered by Airflow's own page.
    external_views = [  # noqa: RUF012  # Airflow declares it so
        {
            "name": NAME,
            "href": "economic/",
            "destination": "nav",
            "category": "browse",
            "url_route": "economic-sync",
            "icon": _icon("#3f4a5a"),
            "icon_dark_mode": _icon("#d5dbe5"),
        }
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow takes a property
        """The page, created on demand: every task process loads plugins too.

        An error leaves the page out: Airflow's web server would not start otherwise.
        """
        try:
            from economic.web.routes import create_app

            app = create_app()
        except Exception:
            log.exception("The e-conomic sync page could not be created; Airflow starts without it.")
            return []
        return [{"app": app, "name": NAME, "url_prefix": URL_PREFIX}]
