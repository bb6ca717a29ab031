"""Turns e-conomic's JSON into typed records, a module a kind. No Airflow, no database, no log."""
