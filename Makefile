# Each target is what CI runs, nothing more.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RECORDS ?= 2000
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help compiled setup setup-dev proto lock demo test attacks lint type bench clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what the lock file names (about a minute the first time)" >&2
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -c "import pathlib, sysconfig; \
	  pathlib.Path(sysconfig.get_paths()['purelib'], 'bridgehead.pth').write_text(str(pathlib.Path.cwd()))"
	@printf '#!%s\nimport sys\nfrom federation.cli.main import main\nsys.exit(main())\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/bridgehead
	@chmod +x $(BIN)/bridgehead
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

compiled: $(VENV)/.runtime
	@$(BIN)/python -m compileall -q federation  # as an installer does: a start that may not write bytecode has it, too

setup: compiled  ## what the product needs to run
setup-dev: $(VENV)/.dev compiled  ## and what its tests need

demo: setup  ## a border day of four provinces on loopback, then every log is verified (RECORDS=2000)
	@$(BIN)/bridgehead demo --records $(RECORDS) $(DEMO_FLAGS)

# A file of tests stays with one worker, for what its tests share; half of the workers wait for nodes at any moment. Those of the
# wire have a process of their own, beside the others: a crash of the gRPC library there takes no other test with it.
test: setup-dev  ## all the tests; BRIDGEHEAD_REQUIRE_ALL=1 makes missing optional parts fail
	@house=0; wire=0; said=$$(mktemp); \
	$(BIN)/python -m pytest -n 1 tests/wire $(PYTEST_FLAGS) > $$said 2>&1 & beside=$$!; trap 'kill $$beside' INT TERM; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/wire $(PYTEST_FLAGS) || house=$$?; \
	wait $$beside || wire=$$?; cat $$said; rm $$said; \
	exit $$((house ? house : wire))

attacks: setup-dev  ## every attack on running nodes, and one table: what held it, seconds, memory
	@$(BIN)/python -m pytest -m attack $(PYTEST_FLAGS) tests

lint: setup-dev  ## ruff, format, spelling, import contracts, unused dependencies, buf
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md federation proto policies tests
	@$(BIN)/lint-imports
	@$(BIN)/deptry federation

type: setup-dev  ## mypy strict
	@$(BIN)/mypy

proto: setup-dev  ## regenerate federation/v1 from proto/
	@$(BIN)/python proto/generate.py

lock: setup-dev  ## resolve the dependencies again
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --all-extras pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --all-extras --group dev \
	  -c requirements.lock pyproject.toml -o requirements-dev.lock

bench: setup  ## exchanges and synced records a second, each beside its calibration
	@$(BIN)/bridgehead bench

clean:  ## remove what the other targets made
	@rm -rf $(VENV) .demo build
