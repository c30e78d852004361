# Two commands do everything on a fresh machine with Python 3.11 or newer:  make demo   and   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
WORKERS ?= auto

.PHONY: demo test check format browser clean

$(VENV)/.installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deblurbench needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## run blurry input, IFI-RNN, SRN and FBA on the embedded dataset; leaves a report
	$(BIN)/deblurbench run --methods ifirnn,srn,fba --dataset mini --output $(DEMO)
	@echo
	@echo "Open $(DEMO)/report/index.html"

test: $(VENV)/.installed  ## the whole test suite, on the CPU, offline, in as many processes as there are cores
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

check: $(VENV)/.installed  ## lint, format and types, those of the page's scripts with npx
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if npx --yes --package typescript@5.9.3 -- tsc --version >/dev/null 2>&1; then \
	  npx --yes --package typescript@5.9.3 -- tsc --project reports/gallery/tsconfig.json; \
	else echo "npx cannot give TypeScript here: the types of the page's scripts are not checked"; fi

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
