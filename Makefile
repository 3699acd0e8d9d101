# Every chore is one command. Each target builds the environment it needs; nothing but
# python3.11 (or newer), pip, make and git has to be there.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Tests that run at the same time. More than four gain little: each has servers and networks of its own.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$(( cores > 4 ? 4 : cores )))

.PHONY: demo up test quick browser check bench bench-gpu bench-review bench-backfill bench-queue fuzz chaos lint types imports settings-docs wheel lock secrets clean

demo: $(READY)  ## make two clips, screen them end to end, print the verdicts
	$(BIN)/facewarden demo

up: $(READY)  ## the whole system on this machine; drop videos into bucket/
	$(BIN)/facewarden up

test: $(READY) browser  ## every test (real Valkey, real PostgreSQL, both from wheels)
	$(BIN)/pytest tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder
	@echo "facewarden: all tests passed"

quick: $(READY) lint types imports  ## lint, types, import contracts and most unit tests: no server, no browser, no training
	$(BIN)/pytest tests/unit -n $(WORKERS) --dist loadfile -m "not full_size and not slow and not corpus"
	@echo "facewarden: quick tests passed"

# The pages are tested in a real browser. Where none is and none can be had, those tests skip and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
		|| command -v google-chrome >/dev/null 2>&1 \
		|| { test "$$(id -u)" = 0 && apt-get install -y -q chromium >/dev/null 2>&1; } \
		|| { test "$$(id -u)" = 0 && apt-get update -q >/dev/null 2>&1 \
			&& apt-get install -y -q chromium >/dev/null 2>&1; } \
		|| echo "facewarden: NO CHROMIUM, and it could not be installed: the web pages will not be tested"

check: $(READY) lint types imports test  ## what CI runs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

bench: $(READY)  ## speed against the obvious pipeline, side by side; writes build/bench.json
	$(BIN)/python -m bench

bench-gpu: $(READY)  ## each stage on this machine's GPU against its CPU; writes build/bench-gpu.json
	$(BIN)/python -m bench.gpu

bench-backfill: $(READY)  ## a million keys of a bucket taken in, killed on the way: memory and rate; writes build/bench-backfill.json
	$(BIN)/python -m bench.backfill

.PHONY: bench-streams
bench-streams: $(READY)  ## an hour of a live stream, as fast as it is looked at: memory, alerts; writes build/bench-streams.json
	$(BIN)/python -m bench.streams

VIDEOS ?= 10000
bench-queue: WORKERS := 1,2,4
bench-queue: $(READY)  ## what queue and database cost a video, by workers (VIDEOS=1000 WORKERS=2 for less); writes build/bench-queue.json
	$(BIN)/python -m bench.queue --videos $(VIDEOS) --workers $(WORKERS)

bench-review: $(READY)  ## the review queue over a million videos in both databases (10 GB, 10 to 60 minutes); writes build/bench-review.json
	$(BIN)/python -m bench.review

FILES ?= 300
SEED ?= 0
fuzz: $(READY)  ## hostile files, screened (FILES=3000 SEED=7 for others); exit code 1 where one did harm
	$(BIN)/python -m fuzz --files $(FILES) --seed $(SEED)

chaos: VIDEOS := 200
chaos: $(READY)  ## many processes and servers, each killed once while videos come in (VIDEOS=40 for less); exit code 1 where one is lost or doubled
	$(BIN)/python -m fuzz.chaos --videos $(VIDEOS)

settings-docs: $(READY)  ## write docs/settings.md, .env.example and docs/formats.md from core/
	$(BIN)/facewarden config --markdown > docs/settings.md
	$(BIN)/facewarden config --env > .env.example
	$(BIN)/facewarden config --formats > docs/formats.md

DIST ?= dist
wheel: $(READY)  ## dist/: the wheel, and the two files that uv installs it with (docs/installation.md)
	.uv/bin/uv build --quiet --wheel --clear --out-dir $(DIST)
	.uv/bin/uv export --quiet --frozen --no-dev --all-extras --no-emit-project --no-hashes --no-annotate --no-header \
		--output-file $(DIST)/constraints.txt
	cp overrides.txt $(DIST)/

lock: $(READY)
	.uv/bin/uv lock

# uv lives in an environment of its own, so that `uv sync` can own .venv.
.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet "uv>=0.8"

# Compiled once: where Python may not write its bytecode itself (PYTHONDONTWRITEBYTECODE, another user's
# folder), each process would compile torch anew, for seven seconds; and the decoder never writes any: without
# it, each video would wait for 20 ms longer.
$(READY): pyproject.toml uv.lock | .uv/bin/uv
	.uv/bin/uv sync --frozen --quiet --compile-bytecode --python $(PYTHON)
	$(BIN)/python -m compileall -q core facewarden models storage worker ingest review webhooks cli evaluation
	@touch $@

secrets:  ## secrets/: passwords and keys for compose.yaml; what is there is kept
	@$(PYTHON) deploy/secret_files.py secrets

clean:
	rm -rf $(VENV) .uv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
