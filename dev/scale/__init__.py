"""Many companies at once: measures one Airflow with Celery workers that syncs them all."""
