# Every verb is one of `run`, which needs nothing but Python 3.11 or newer; without make, call ./run VERB.
.DEFAULT_GOAL := help
.PHONY: help install demo start airflow psql check test test-peers env compose-test matrix dist format lock clean

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

env: ## write .env for docker-compose.yaml: fresh random secrets
	@python3 run env

compose-test: ## bring docker-compose.yaml up on an engine of its own (root, Debian; about 20 minutes)
	@python3 run compose-test

matrix: ## the tests on every Python and PostgreSQL found here, and on older Airflows
	@python3 run matrix

dist: ## build the wheel and the source archive, and try each in an environment of its own
	@python3 run dist

format: ## format Python and SQL
	@python3 run format

lock: ## renew the lock files under requirements/
	@python3 run lock

clean: ## remove the environment and the data of demo and start
	@python3 run clean
