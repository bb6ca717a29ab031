"""From e-conomic's JSON to typed records: how a page is decoded, and one module a kind of record. No Airflow, no database, no log."""
