# Two commands for users: `make demo` and `make test`. `make check` is what CI runs.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
READY_FOR_TESTS := $(VENV)/.installed-for-tests
INSTALLED_BY := pyproject.toml setup.py cloudsandbox/pyproject.toml scripts/setup.sh
# A run starts some thousand Python processes. They find their byte code beside the installed packages, also
# where the environment says that none is to be written beside the sources.
PYTEST := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath $(VENV))/bytecode $(BIN)/python -m pytest
# Three processes more than the usual two cores: most tests of mounts wait half of their time.
SIDE_BY_SIDE := --numprocesses 5 --dist worksteal
# In the first run each of these processes would make the byte code of all tests, whose assertions pytest
# rewrites.
COLLECTED := $(VENV)/bytecode/.collected

.PHONY: setup demo test check format lock bench peers report soak clean

setup: $(READY)

$(READY): $(INSTALLED_BY)
	@sh scripts/setup.sh $(VENV)
	@touch $@

$(READY_FOR_TESTS): $(INSTALLED_BY)
	@sh scripts/setup.sh $(VENV) tests
	@touch $(READY) $@

demo: $(READY)
	@$(BIN)/mountfs demo

test: $(READY_FOR_TESTS)
	$(PYTEST) $(SIDE_BY_SIDE) $(ARGS)

check: $(READY_FOR_TESTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@echo "$(BIN)/mypy, beside the tests; what it finds is told after them"; \
	$(BIN)/mypy > $(VENV)/types 2>&1 & types=$$!; \
	[ -e $(COLLECTED) ] || { $(PYTEST) --collect-only --quiet > $(VENV)/collected 2>&1; touch $(COLLECTED); }; \
	$(PYTEST) $(SIDE_BY_SIDE) $(ARGS); tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types; \
	[ $$tests = 0 ] && [ $$types = 0 ]

format: $(READY_FOR_TESTS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY_FOR_TESTS)
	$(BIN)/pip freeze --all --exclude-editable --exclude pip > dev.lock

bench: $(READY_FOR_TESTS)
	$(BIN)/python -m tests.bench $(ARGS)

peers: $(READY_FOR_TESTS)
	$(BIN)/python -m tests.bench.peers $(ARGS)

# make report ARGS="results.jsonl --into docs", of what `make peers ARGS="--json results.jsonl"` wrote
report: $(READY_FOR_TESTS)
	$(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python -m tests.bench.report $(ARGS)

soak: $(READY_FOR_TESTS)
	$(BIN)/python -m tests.soak $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build cloudsandbox/*.egg-info cloudsandbox/build
