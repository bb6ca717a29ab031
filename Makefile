# Every verb is one of `run`, which needs nothing but Python 3.11 or newer; without make, call ./run VERB.
.DEFAULT_GOAL := help
.PHONY: help install demo start airflow psql check test test-peers format lock clean

help: ## print these verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

install: ## make .venv with everything pinned
	@python3 run install

demo: ## set everything up and run the real DAG once on embedded parts
	@python3 run demo

start: ## set everything up and start the whole Airflow on embedded parts, until Ctrl-C
	@python3 run start

airflow: ## Airflow's own command line, against the started one: make airflow ARGS="dags list"
	@python3 run airflow $(ARGS)

psql: ## look at the invoices of demo and start
	@python3 run psql

check: ## lint, types, layers, SQL, unit and integration tests (under 2 minutes)
	@python3 run check

test: ## everything: check, fault catalogue, the DAG through real Airflow and under a real scheduler
	@python3 run test

test-peers: ## let other e-conomic clients read from the simulator (installs them first)
	@python3 run test-peers

format: ## format Python and SQL
	@python3 run format

lock: ## renew the lock files under requirements/
	@python3 run lock

clean: ## remove the environment and the data of demo and start
	@python3 run clean
