# Every verb is one of `run`, which needs nothing but Python 3.11 to 3.13; without make, call ./run VERB.
.DEFAULT_GOAL := help

Makefile: ;

%: FORCE
	@python3 run $@ $(ARGS)

FORCE: ;
.PHONY: FORCE
