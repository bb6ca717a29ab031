# Every verb is one of `run`, which needs nothing but Python 3.11 or newer; without make, call ./run VERB.
.DEFAULT_GOAL := help
.PHONY: help install demo start airflow psql economic check test soak test-backfill test-peers bench bench-growth bench-killed bench-airflow bench-peers env compose-test matrix dist pictures scale format lock clean

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

economic: ## `python -m economic` on them: make economic ARGS=status
	@python3 run economic $(ARGS)

check: ## lint, types, layers, SQL, unit and integration tests (under 2 minutes)
	@python3 run check

test: ## everything: check, fault catalogue, the DAG through real Airflow and under a real scheduler, the page in a real browser
	@python3 run test

soak: ## let everything go wrong at once for ten minutes: make soak ARGS="--minutes 60 --seed 1", or ARGS=--sweep
	@python3 run soak $(ARGS)

test-backfill: ## 30 days of backfill and more, beside full syncs, under a real scheduler (about half an hour)
	@python3 run test-backfill

bench: ## measure a sync against the least it could take (N=22500), and write docs/benchmarks.md
	@python3 run bench $(N)

bench-growth: ## the same for tables, indexes and write-ahead log over many syncs
	@python3 run bench-growth $(N)

bench-killed: ## a sync of a million invoices whose process is killed twice, and gone on with
	@python3 run bench-killed $(N)

bench-airflow: ## the same for what Airflow itself adds
	@python3 run bench-airflow $(N)

bench-peers: ## the same for dlt and Airbyte's connector (installs them first)
	@python3 run bench-peers $(N)

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

pictures: ## take the pictures in docs/pictures anew, in a real Airflow
	@python3 run pictures

scale: ## two hundred companies at once on two Celery workers (needs redis-server; about 15 minutes)
	@python3 run scale $(ARGS)

format: ## format Python and SQL
	@python3 run format

lock: ## renew the lock files under requirements/
	@python3 run lock

clean: ## remove the environment and the data of demo and start
	@python3 run clean
