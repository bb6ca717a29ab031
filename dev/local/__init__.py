"""PostgreSQL, Airflow and the simulator as processes of this machine."""
