# make demo   sets everything up and serves a believable day; with LAN=1 over https, to phones nearby
# make test   sets everything up and runs every check
# make bench  prints the budgets; ROWS="download phone paper memory bulk" chooses some of them
# make audit  prints what Lighthouse says of the pages people see most
# make screenshots  takes the pictures of the guides anew
# make simulate SEEDS=20000 [FIRST=0] [DATABASE=postgresql] [HISTORY=file]
#             plays histories of phones, faults and the server; tests/simulator/README.md

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench audit screenshots simulate clean

demo: $(VENV)/demo.stamp
ifdef LAN
	@FIELDAPP_PORT=$(PORT) $(BIN)/fieldapp demo --lan
else
	@FIELDAPP_PORT=$(PORT) FIELDAPP_PUBLIC_URL=$${FIELDAPP_PUBLIC_URL:-http://127.0.0.1:$(PORT)} $(BIN)/fieldapp demo --port $(PORT)
endif

test: $(VENV)/test.stamp
	@$(BIN)/python tests/every_check.py

bench: $(VENV)/test.stamp
	@$(BIN)/python -m bench $(ROWS)

screenshots: $(VENV)/test.stamp
	@$(BIN)/python tests/browser/guide.py

audit: $(VENV)/test.stamp
	@$(BIN)/python -m bench.audit

bench-peers bench-growth bench-storm bench-bulk: $(VENV)/test.stamp
	@$(BIN)/python -m $(subst -,.,$@)

SEEDS ?= 1000
FIRST ?= 0
DATABASE ?= sqlite

simulate: $(VENV)/test.stamp
	@$(BIN)/python -m tests.simulator --seeds $(SEEDS) --first $(FIRST) --database $(DATABASE) $(if $(HISTORY),--history $(HISTORY))

$(VENV)/demo.stamp: pyproject.toml setup.sh
	@PYTHON=$(PYTHON) sh setup.sh demo
	@touch $@

$(VENV)/test.stamp: pyproject.toml setup.sh
	@PYTHON=$(PYTHON) sh setup.sh test
	@touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV)
