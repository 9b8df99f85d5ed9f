# make demo   sets everything up and serves a believable day
# make test   sets everything up and runs every check
# make bench  prints the budgets

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench clean

demo: $(VENV)/demo.stamp
	@FIELDAPP_PORT=$(PORT) FIELDAPP_PUBLIC_URL=$${FIELDAPP_PUBLIC_URL:-http://127.0.0.1:$(PORT)} $(BIN)/fieldapp demo --port $(PORT)

test: $(VENV)/test.stamp
	@$(BIN)/python tests/every_check.py

bench: $(VENV)/test.stamp
	@$(BIN)/python -m bench

$(VENV)/demo.stamp: pyproject.toml setup.sh
	@PYTHON=$(PYTHON) sh setup.sh demo
	@touch $@

$(VENV)/test.stamp: pyproject.toml setup.sh
	@PYTHON=$(PYTHON) sh setup.sh test
	@touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV)
