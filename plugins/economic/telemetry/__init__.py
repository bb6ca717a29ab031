"""What others learn of a sync while it happens: metrics and lineage, through Airflow's own ways."""
