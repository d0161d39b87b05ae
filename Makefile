# `make help` lists the targets. Most need Go only. Those that need .venv use sam, moto, the Lambda Runtime Interface
# Emulator and LicenseSpring's Python SDK, pinned in tools/requirements.txt; .node has LicenseSpring's Node SDK, pinned in
# tools/node. A missing tool is an error that says how to get it.

VENV     := .venv
NODE     := .node
# a Chromium, by its name or path, for make test-browser
CHROMIUM ?= chromium
# ElasticMQ's jars, for make soak
ELASTICMQ := .elasticmq
FUZZTIME ?= 60s
BENCH_OUT ?= bench.out
RACE     ?=         # make test RACE=-race, as .ci/run does; it needs a C compiler and takes twice as long
# Lambda runs arm64. Not named GOARCH, which a shell may export. The tests build for the machine on which they run.
LAMBDA_GOARCH ?= arm64

# Without these sam sends telemetry and writes to the home folder.
export SAM_CLI_TELEMETRY := 0
export __SAM_CLI_APP_DIR := $(CURDIR)/$(VENV)/sam

.DEFAULT_GOAL := help
.PHONY: help run test test-browser sim worlds check build fuzz bench venv node build-WebhookFunction build-WorkerFunction

help: ## List the targets
	@awk -F ':.*## ' '/^[A-Za-z0-9-]+:.*## / { printf "  %-23s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: need-go ## Watch refunds become deactivated licenses, in one process on loopback, until Ctrl-C
	go run ./cmd/licensectl local

test: need-go venv node ## Run every test but the browser's: tier 1 (Go alone), the oracles, tier 2 (moto, emulator, sam, SDKs); RACE=-race finds races
	@echo "tier 1: Go alone. Tier 2 tests moto, the built functions and the template"
	go test $(RACE) -timeout 20m ./...
	@echo "oracles: other people's libraries verify our signatures"
	go -C oracles test ./...
	@echo "tier 2: moto, the built functions under the Runtime Interface Emulator, sam validate and sam build, LicenseSpring's SDKs"
	go test -tags integration -count=1 ./integration/...
	@echo "not tested: sam deploy (needs an AWS account), sam local (needs Docker); see README.md"

test-browser: need-go chromium browser/node_modules/installed ## Drive the console in Chromium, about a minute; screenshots into browser/pictures
	CHROMIUM=$$(command -v $(CHROMIUM)) node --test browser/*.test.js

# One case is skipped: ElasticMQ accepts a visibility that ends more than 12 hours after the receive, and SQS refuses it.
soak: need-go need-java $(ELASTICMQ)/installed ## Run tier 3 on ElasticMQ (Java, Maven), some minutes: volume, storms, kill -9; SOAK_SEED=n repeats its faults
	go test -tags integration,soak -count=1 -v -timeout 8m -run '^TestSoak' \
	  -skip '^TestSoakQueueSuite$$/^defer_past_12_hours' ./integration/...

# 200 seeds of 5,000 requests are a million; every go test runs ten seconds of them. It prints one line for each seed.
SIM_SEEDS    ?= 200
SIM_MESSAGES ?= 5000
SIM_SEED     ?= 0
sim: need-go ## Simulate days of faults, kills and rotated keys for a million requests, some 15 minutes; SIM_SEED=n runs one seed
	GOGC=400 go test -count=1 -v -timeout 2h -run '^TestSimulation$$' ./simulation \
	  -sim.seeds=$(SIM_SEEDS) -sim.messages=$(SIM_MESSAGES) -sim.seed=$(SIM_SEED) | \
	  awk '!/^(===| *--- PASS)/; /^ok / { ok = 1 } END { exit !ok }'

WORLDS ?= 200000
worlds: need-go ## Hold the look-up to its oracle in 200,000 generated worlds, some ten minutes; WORLDS=n makes n
	go test -count=1 -v -timeout 2h -run '^TestEveryWorld' ./internal/lookup -lookup.worlds=$(WORLDS)

check: need-go ## Vet, lint, check formatting and go.mod, without running tests
	go vet ./...
	go vet -tags integration,soak ./integration/...
	go -C oracles vet ./...
	@unformatted=$$(find . -name '*.go' -not -path './.*' -exec gofmt -l {} +); \
	  if [ -n "$$unformatted" ]; then echo "gofmt -w these: $$unformatted" >&2; exit 1; fi
	go mod tidy -diff
	go -C oracles mod tidy -diff
	go tool -modfile=tools/go.mod golangci-lint run

build: need-go venv ## Build both functions as they are deployed, into .aws-sam/build
	$(VENV)/bin/sam build

fuzz: need-go ## Fuzz every target for FUZZTIME (60s) each
	@set -e; for package in $$(go list ./...); do \
	  listed=$$(go test -list '^Fuzz' $$package); \
	  for target in $$(echo "$$listed" | grep '^Fuzz'); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

# Each part has its own benchtime: it starts programs 20 times and drains a backlog once.
bench: need-go ## Measure (6 min): cold start, sizes, signing, batches, pace; one table at the end; benchstat reads bench.out
	@: > $(BENCH_OUT)
	@echo "signing, calling, mapping, one batch"
	@go test -run '^$$' -bench . -benchmem ./pkg/signing ./pkg/licenseapi ./internal/webhook ./internal/worker >> $(BENCH_OUT) || { cat $(BENCH_OUT); exit 1; }
	@echo "cold start, first invocation, sizes"
	@go test -tags integration -run '^$$' -bench 'ColdStart|FirstInvocation|Size' -benchtime 20x -timeout 20m ./integration >> $(BENCH_OUT) || { cat $(BENCH_OUT); exit 1; }
	@echo "the largest direct invocation"
	@go test -tags integration -run '^$$' -bench Bulk -benchtime 3x -timeout 20m ./integration >> $(BENCH_OUT) || { cat $(BENCH_OUT); exit 1; }
	@echo "backlogs, each with a naive worker after it"
	@go test -tags integration -run '^$$' -bench Fleet -benchtime 1x -timeout 20m ./integration >> $(BENCH_OUT) || { cat $(BENCH_OUT); exit 1; }
	@echo "refunds without a device, in virtual time"
	@go test -count=1 -v -run '^TestRefundsWithoutADevice' ./simulation >> $(BENCH_OUT) || { cat $(BENCH_OUT); exit 1; }
	@go -C tools run ./benchtable < $(BENCH_OUT)

venv: $(VENV)/installed ## Create .venv with the tools that tier 2 and sam need

# The stamp is written last, so that a failed installation starts again.
$(VENV)/installed: tools/requirements.txt
	@command -v python3 >/dev/null || { \
	  echo "python3 is missing; install it with: apt-get install python3 python3-venv (or brew install python)" >&2; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "python3 is older than 3.10; install a newer one with: apt-get install python3 (or brew install python)" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "python3 has no venv; install it with: apt-get install python3-venv" >&2; exit 1; }
	rm -rf $(VENV)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	touch $@

node: $(NODE)/installed ## Create .node with LicenseSpring's Node SDK

# The stamp is written last, as above. No install script runs: the packages have everything that the SDK needs here.
$(NODE)/installed: tools/node/package.json tools/node/package-lock.json | need-node
	rm -rf $(NODE)
	mkdir $(NODE)
	cp tools/node/package.json tools/node/package-lock.json $(NODE)
	npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The stamp is written last, as above. Playwright's own browsers are not installed: the tests use the system's Chromium.
browser/node_modules/installed: browser/package.json browser/package-lock.json | need-node
	npm ci --prefix browser --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# Debian's Chromium. Where it is missing and this user may install packages, as on CI's machine, it is installed, with a font.
.PHONY: chromium
chromium:
	@command -v $(CHROMIUM) >/dev/null || { \
	  [ "$$(id -u)" = 0 ] || as_root="sudo -n"; packages="chromium fonts-liberation"; \
	  $$as_root apt-get update -qq && $$as_root apt-get install -qq -y --no-install-recommends $$packages; } || { \
	  echo "$(CHROMIUM) is missing; install Chromium with: apt-get install chromium (or brew install chromium), or name it with CHROMIUM=" >&2; exit 1; }

# The stamp is written last, as above. The tests start java by themselves.
$(ELASTICMQ)/installed: tools/elasticmq/pom.xml
	@command -v mvn >/dev/null || { \
	  echo "mvn is missing; install it with: apt-get install maven (or brew install maven)" >&2; exit 1; }
	rm -rf $(ELASTICMQ)
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(ELASTICMQ)
	touch $@

.PHONY: soak need-java
need-java:
	@command -v java >/dev/null || { \
	  echo "java is missing; install Java 17 or newer with: apt-get install openjdk-17-jre-headless (or brew install openjdk)" >&2; exit 1; }
	@version=$$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'); [ "$${version:-0}" -ge 17 ] || { \
	  echo "java is older than 17; install a newer one with: apt-get install openjdk-17-jre-headless (or brew install openjdk)" >&2; exit 1; }

# sam build calls these with ARTIFACTS_DIR set. The binary is static, since arm64's C library is not this machine's. It
# has no RPC mode, which only the go1.x runtime needs, and no paths, so that the same source gives the same bytes. The
# webhook has no HTTP/2 (128 KB of the zip): it calls SQS and Secrets Manager, which take HTTP/1.1. The worker's calls
# to the License API share one HTTP/2 connection.
build-WebhookFunction: FUNCTION = webhook
build-WebhookFunction: TAGS = lambda.norpc,nethttpomithttp2
build-WorkerFunction:  FUNCTION = worker
build-WorkerFunction:  TAGS = lambda.norpc
build-WebhookFunction: ## Build the webhook's bootstrap into ARTIFACTS_DIR; sam build calls it
build-WorkerFunction: ## Build the worker's bootstrap into ARTIFACTS_DIR; sam build calls it
build-WebhookFunction build-WorkerFunction: need-go
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR is not set; use: make build" >&2; exit 1; }
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_GOARCH) go build -trimpath -buildvcs=false \
	  -tags $(TAGS) -ldflags "-s -w" -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/$(FUNCTION)

.PHONY: need-go
need-go:
	@command -v go >/dev/null || { echo "go is missing; install Go 1.26 or newer: https://go.dev/doc/install" >&2; exit 1; }

.PHONY: need-node
need-node:
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  echo "node or npm is missing; install Node 20 or newer with: apt-get install nodejs npm (or brew install node)" >&2; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' || { \
	  echo "node is older than 20; install a newer one: https://nodejs.org/en/download" >&2; exit 1; }
