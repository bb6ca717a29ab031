"""One load by dlt, in an environment of its own: `python dlt_load.py WAY FOLDER`, with the rest in the environment; prints a line of JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator
from dlt.sources.rest_api import rest_api_resources

PAGE = {"pagesize": 1000, "sort": "bookedInvoiceNumber"}
KEY = "bookedInvoiceNumber"
NEXT = "pagination.nextPage"


def declared(disposition: Any) -> Any:
    """The declarative source as its documentation has it."""
    return rest_api_resources(
        {
            "client": {
                "base_url": os.environ["BENCH_URL"],
                "headers": json.loads(os.environ["BENCH_HEADERS"]),
                "paginator": {"type": "json_link", "next_url_path": NEXT},
            },
            "resources": [
                {
                    "name": "invoice",
                    "primary_key": KEY,
                    "write_disposition": disposition,
                    "endpoint": {"path": "invoices/booked", "params": PAGE, "data_selector": "collection"},
                }
            ],
        }
    )


def arrow_pages() -> Any:
    """Pages as Arrow tables, which dlt takes over without looking into them; flattened by hand."""

    @dlt.resource(
        name="invoice", primary_key=KEY, write_disposition={"disposition": "merge", "strategy": "upsert"}
    )
    def invoice() -> Iterator[Any]:
        client = RESTClient(
            base_url=os.environ["BENCH_URL"],
            headers=json.loads(os.environ["BENCH_HEADERS"]),
            paginator=JSONLinkPaginator(next_url_path=NEXT),
            data_selector="collection",
        )
        for page in client.paginate("invoices/booked", params=PAGE):
            table = pa.Table.from_pylist(page)
            while any(pa.types.is_struct(field.type) for field in table.schema):
                table = table.flatten()
            yield table.rename_columns([name.replace(".", "__") for name in table.column_names])

    return invoice()


def main() -> int:
    """Load once and say what it took: what this process needed before it began is not counted."""
    way, folder = sys.argv[1:]
    source = {
        "dlt, default": lambda: declared("merge"),
        "dlt, tuned": lambda: declared({"disposition": "merge", "strategy": "upsert"}),
        "dlt, Arrow pages": arrow_pages,
    }[way]
    logging.disable(
        logging.WARNING
    )  # the same one for every page: that it is given amounts as Arrow reads them
    pipeline = dlt.pipeline(
        "invoices",
        pipelines_dir=folder,
        dataset_name="dlt",
        destination=dlt.destinations.postgres(os.environ["BENCH_DSN"]),
    )
    clock, used = time.perf_counter(), time.process_time()
    pipeline.run(source(), loader_file_format=None if way == "dlt, default" else "csv").raise_on_failed_jobs()
    wall, client = time.perf_counter() - clock, time.process_time() - used
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    sys.stdout.write(json.dumps({"wall": wall, "client": client, "peak_mb": peak}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
