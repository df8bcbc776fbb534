# The one vocabulary of this repository; `make` lists it. Recipes are one line, logic is in tools/.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The interpreter for a new .venv; empty: the first suitable one on PATH.
PYTHON ?=
# What `make test` runs, and in how many processes.
TESTS ?= tests
WORKERS ?= 2
# Which benchmarks `make bench` runs; empty: all.
BENCH ?=
# What `make pipeline` compiles, and the cluster that the pipeline is for.
EXPERIMENT ?= pipelines/examples/microworld.yaml
CLUSTER ?= pipelines/examples/cluster-cpu.yaml

READY := .venv/.installed
READY_PIPELINE := .venv-pipeline/.installed
PY := .venv/bin/python
BUF := .venv/bin/buf

##@ Use

.PHONY: run
run: $(READY) ## the whole loop on this machine, in minutes: data, training, honeypots, verdicts, table
	@$(PY) -m pipelines run pipelines/examples/microworld.yaml
.PHONY: study
study: $(READY) ## the full study: every arm, three seeds, the token sweep
	@$(PY) -m pipelines run pipelines/examples/microworld-study.yaml
.PHONY: up
up: $(READY) ## start the services and keep them running (prints their ports)
	@$(PY) -m pipelines up
.PHONY: down
down: $(READY) ## stop what `make up` started
	@$(PY) -m pipelines down
.PHONY: pipeline
pipeline: $(READY_PIPELINE) ## write EXPERIMENT as a Kubeflow pipeline for CLUSTER: build/pipeline.yaml
	@.venv-pipeline/bin/python -m pipelines pipeline $(EXPERIMENT) --cluster $(CLUSTER) --output build/pipeline.yaml

##@ Develop

.PHONY: setup
setup: $(READY) ## make .venv from requirements.lock (every other target does this by itself)
$(READY): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" tools/setup.sh
.venv-%/.installed: requirements-%.lock pyproject.toml
	@PYTHON="$(PYTHON)" tools/setup.sh $*
.PHONY: format
format: $(READY) ## rewrite Python and proto files in the house format
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix-only --quiet . && $(BUF) format --write proto
.PHONY: proto
proto: $(READY) ## generate services/stubs/teachwhy from proto/
	@$(PY) -m tools.generate_stubs
.PHONY: proto-baseline
proto-baseline: $(READY) ## at a release: make today's contract the one that must not break
	@$(BUF) build proto --exclude-source-info --output proto/baseline.binpb
.PHONY: images
images: $(READY) ## build all container images; one, another base: python -m tools.build_images --help
	@$(PY) -m tools.build_images
.PHONY: lock
lock: $(READY) ## resolve all extras anew and write the locks
	@$(PY) -m tools.lock

##@ Verify

.PHONY: test
test: export OMP_NUM_THREADS := 1
test: $(READY) ## all tests; one folder: make test TESTS=tests/judge
	@$(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)
.PHONY: test-containers
test-containers: $(READY) ## build the images and run the loop across containers (root, Linux, 10 minutes)
	@$(PY) -m tools.container_stage
.PHONY: check
check: tidy test ## everything a merge must pass
.PHONY: tidy
tidy: lint typecheck arrows contract ## everything in check except the tests
.PHONY: lint
lint: $(READY) ## is it formatted, does ruff accept it, do the locks satisfy pyproject.toml?
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check . && $(PY) -m tools.lock --check
.PHONY: typecheck
typecheck: $(READY) ## mypy --strict on everything
	@.venv/bin/mypy
.PHONY: arrows
arrows: $(READY) ## import-linter: who may know whom
	@.venv/bin/lint-imports
.PHONY: contract
contract: $(READY) ## buf lint, format and breaking changes; are the stubs current?
	@$(BUF) lint proto && $(BUF) format --diff --exit-code proto && $(BUF) breaking proto --against proto/baseline.binpb && $(PY) -m tools.generate_stubs --check
.PHONY: bench
bench: $(READY) ## measure, write benchmarks/results/ and the tables; one: make bench BENCH=loop
	@$(PY) -m benchmarks $(BENCH)

##@ Other

.PHONY: clean
clean: ## remove caches and build output; keeps .venv and runs/
	@tools/clean.sh
.PHONY: help
help: ## this list
	@awk -f tools/help.awk $(MAKEFILE_LIST)
