# SPDX-License-Identifier: Apache-2.0
# make help lists what there is. Everything is built below build/, nothing is installed outside of it but Debian packages.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := build/bin
DEVNET  := $(BIN)/devnet
BUF     := tools/node_modules/@bufbuild/buf-linux-x64/bin/buf
LINT    := $(BIN)/golangci-lint
# What make generate writes.
GENERATED := internal/gen api deploy/chart/kinds contracts/abi docs/guide cmd/apocryph/deps.txt cmd/apocryphd/deps.txt cmd/carrier/deps.txt
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

.PHONY: help
help: ## Show this list.
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
.PHONY: demo devnet devnet-down
demo: $(DEVNET) ## Bring up a devnet, deploy a real app, pay for it, check every unit, take it all down. KEEP=1 leaves it up.
	$(DEVNET) demo $(if $(KEEP),--keep)

devnet: $(DEVNET) ## Bring up Kubernetes, chain, contracts and a provider on this machine; writes build/devnet/env.
	$(DEVNET) up

devnet-down: $(DEVNET) ## End this checkout's devnet and leave nothing behind.
	$(DEVNET) down

.PHONY: $(DEVNET)
$(DEVNET):
	cd devnet && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o ../$@ ./cmd/devnet

##@ Build and check
.PHONY: build test e2e quick check lint generate drift bench test-long
build: ## Build the three binaries.
	for b in apocryph apocryphd carrier; do $(GOBUILD) -o $(BIN)/$$b ./cmd/$$b; done

test: ## Run everything that this machine allows: Go with the race detector, contracts, CLI scripts, end to end.
	@./test.sh

test-long: ## What takes hours: invariants over 1,000,000 calls, fuzz targets of 1,000,000 runs, the models over 250,000 steps and 2,000,000 lives, 1,000 runs with faults, an upgrade.
	FOUNDRY_PROFILE=long contracts/test.sh
	APOCRYPH_MODEL_STEPS=250000 go test -count=1 -timeout 3h ./internal/channel/channeltest
	APOCRYPH_METER_LIVES=2000000 go test -count=1 -timeout 3h -run TestTheModelAgrees ./internal/meter
	APOCRYPH_CHAIN_RUNS=500 go test -count=1 -timeout 3h ./internal/evm
	@./test.sh fuzz
	@./test.sh upgrade
	@$(MAKE) --no-print-directory $(DEVNET) && ./test.sh faults

e2e: ## Run the end-to-end tests on this checkout's devnet, bringing it up if need be.
	@./test.sh e2e

quick: ## The part of check worth running before each commit (under a minute).
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v internal/gen))" || { echo "make quick: not gofmt'ed, see: gofmt -l ."; exit 1; }
	go vet ./...
	go test -short -vet=off . ./internal/... ./cmd/...

check: lint drift ## Lint, generated-code drift and the house rules.
	go test -count=1 .
	@./test.sh vulnerabilities

lint: $(LINT) $(BUF) ## Run the linters.
	$(LINT) run ./...
	cd devnet && ../$(LINT) run --config ../.golangci.yaml ./...
	cd e2e/oracle && ../../$(LINT) run --config ../../.golangci.yaml ./...
	$(BUF) lint
	$(BUF) breaking --against proto/promised.binpb
	contracts/lint.sh

generate: $(BUF) ## Make again what is generated: wire, kinds, bindings, tables, dependency lists.
	$(BUF) generate
	cd tools && go tool controller-gen object:headerFile=/dev/null crd paths=../api/... output:crd:dir=../deploy/chart/kinds
	contracts/generate.sh
	go generate ./...
	for b in apocryph apocryphd carrier; do go list -deps -f '{{with .Module}}{{.Path}}{{end}}' ./cmd/$$b | sed '/^$$/d' | LC_ALL=C sort -u > cmd/$$b/deps.txt; done

drift: generate ## Fail if what is generated differs from what is committed.
	@changed=$$(git status --porcelain -- $(GENERATED)); test -z "$$changed" || { echo "make drift: generated files differ from the committed ones; look at them and commit them:"; echo "$$changed"; git --no-pager diff --stat -- $(GENERATED); exit 1; }

bench: ## Run one benchmark and print its table: make bench B=<folder of bench/>.
	@test -n "$(B)" -a -d "bench/$(B)" || { echo "make bench: say which, e.g. make bench B=$$(ls bench | head -1); there are: $$(ls bench)"; exit 1; }
	go run ./bench/$(B)

$(BUF): tools/package-lock.json
	cd tools && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@ # npm keeps the times of the package

$(LINT): tools/lint/go.mod
	cd tools/lint && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
