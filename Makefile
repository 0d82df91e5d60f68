# Two targets are all a newcomer needs: `make run` starts the product, `make test` runs every test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
GO ?= go
BIN := bin/segue

.PHONY: help run build test check bench gen fresh unit race lint e2e sdk browser tools explore mutants proofs power storm detect simulate replay

help: ## what can be made
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

run: build ## start the product: three regions, three providers, the pages; needs Go alone
	@exec ./$(BIN) dev

run-cassandra: build ## the same on a real Cassandra of three nodes, each region in its own data centre (installs Java and Maven from Debian when they are missing)
	@exec ./deploy/cassandra/run

build: ## the one binary, in bin/
	@$(GO) build -o $(BIN) ./cmd/segue

test: browser tools lint fresh ## every test: unit, race, layout, end to end, the real browser, the real SDKs
	$(GO) test -timeout 10m $$(./.ci/rooms plain)
	$(MAKE) race
	$(GO) test -count=1 -p 2 -timeout 20m ./e2e/...
	./deploy/cassandra/cluster fetch
	SEGUE_CASSANDRA=1 $(GO) test -count=1 -timeout 20m -skip TestThree ./dataplane/cassandra/...
	$(MAKE) sdk

check: lint ## while you work: vet, lint, layout, unit, race
	$(GO) test -run 'TestLayout|TestRooms|TestDocumentation|TestStyle|TestDocs' ./e2e
	$(GO) test -short -timeout 5m $$(./.ci/rooms plain)
	$(MAKE) race

race: # what has something to race, beside the race detector: .ci/rooms says what that is
	$(GO) test -race -short -timeout 15m $$(./.ci/rooms race)
	$(GO) test -race -run "$$(./.ci/rooms those)" $$(./.ci/rooms some)

lint:
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w'; exit 1; }

sdk: build ## nine real SDKs through an agent (a module of their own; installs Node and Python from Debian when they are missing)
	./.ci/sdk
	cd e2e/sdk && SEGUE_BIN=$(CURDIR)/$(BIN) $(GO) test -timeout 10m ./...

bench: build ## every figure that the README quotes, in one run, written to docs/measured.md; fails where a bar is missed
	SEGUE_BENCH=1 $(GO) test -count=1 -timeout 30m -run 'TestBench$$' -v ./e2e/bench

detect: ## the detectors and the circuit: hundreds of millions of simulated calls, false alarms and delays against the theory's limit; each rule broken on purpose; their machine code for arm64
	SEGUE_DETECT=1 $(GO) test -count=1 -timeout 60m -run 'Seen|Accused|Refusals|Thresholds|Fused|BrokenRules|Replays' -v ./controlplane/health
	SEGUE_DETECT=1 $(GO) test -count=1 -timeout 60m -run 'Silent' -v ./dataplane/route

cassandra: build ## the tests on a real Cassandra beyond those of `make test`: three data centres with faults, the product and a storm on them (fetches the server by Maven; longer with SEGUE_OPS=50000 SEGUE_OUTAGE=10m)
	./deploy/cassandra/cluster fetch
	SEGUE_CASSANDRA=1 $(GO) test -count=1 -timeout 40m ./dataplane/cassandra/...
	SEGUE_CASSANDRA=1 SEGUE_BENCH=1 $(GO) test -count=1 -timeout 10m -run TestClaimCost -v ./dataplane/cassandra
	SEGUE_CASSANDRA=1 SEGUE_BIN=$(CURDIR)/$(BIN) $(GO) test -count=1 -timeout 40m -run 'TestCassandra|TestStormCassandra' -v ./e2e ./e2e/storm

explore: ## every state of the ledger's larger worlds, by its shipped rules (minutes, gigabytes)
	SEGUE_EXPLORE=1 $(GO) test -count=1 -timeout 60m -run 'TestExplore' -v ./dataplane/ledger/explore

replay: ## a million recorded decisions, decided again bit for bit: on this processor, and from the same log on arm64 (by qemu, where it is installed: Debian's qemu-user-static)
	SEGUE_REPLAY=1000000 SEGUE_REPLAY_WRITE=/tmp/segue-decisions $(GO) test -count=1 -timeout 30m -run 'TestReplayOfALog' -v ./dataplane/route
	GOARCH=arm64 $(GO) test -c -o /tmp/segue-route-arm64.test ./dataplane/route
	SEGUE_REPLAY=1000000 SEGUE_REPLAY_READ=/tmp/segue-decisions qemu-aarch64-static /tmp/segue-route-arm64.test -test.run 'TestReplayOfALog' -test.v -test.timeout 60m
	rm -f /tmp/segue-decisions /tmp/segue-route-arm64.test

mutants: ## the ledger's rules broken one by one: each must turn its test red, beside a clean control
	SEGUE_MUTANTS=1 $(GO) test -count=1 -timeout 90m -run 'TestMutants' -v ./dataplane/ledger/explore
	SEGUE_MUTANTS=1 $(GO) test -count=1 -timeout 30m -run 'TestDefects' -v ./e2e/storm

power: ## the plug is pulled a hundred times: the stores on a FUSE disk that forgets what was not synced (installs Debian's fuse3 where it is needed)
	./.ci/power
	cd e2e/power/disk && $(GO) vet . && $(GO) test -count=1 .
	SEGUE_POWER=$${SEGUE_POWER:-100} $(GO) test -count=1 -timeout 30m -v ./e2e/power

proofs: power ## the long runs beside explore, mutants and storm: claims and advances under faults, power cuts, random walks, each decoder fuzzed for a minute
	SEGUE_PROOFS=1 $(GO) test -count=1 -run 'TestLinearizable|TestPowerCut' -v ./dataplane/embedded ./dataplane/repair
	SEGUE_PROOFS=1 $(GO) test -count=1 -run 'TestWhoseFault' -v ./cmd/segue/dev
	SEGUE_WALK=60s $(GO) test -count=1 -run 'TestWalk' -v ./dataplane/ledger/explore
	./.ci/fuzz 60s

storm: ## everything fails at random for SEGUE_STORM_MINUTES (10), with SEGUE_STORM_LONG (0) SIGSTOPs of a minute, on SEGUE_STORM_STORE (embedded, or cassandra); one line more in docs/storms.md
	SEGUE_STORM_MINUTES=$${SEGUE_STORM_MINUTES:-10} $(GO) test -count=1 -timeout 6h -run 'TestLongStorm' -v ./e2e/storm

simulate: build ## every story at every rate in virtual time, Segue beside its rivals and an oracle: writes docs/simulated.md and docs/simulated.html (minutes; SEGUE_SEEDS=20)
	./$(BIN) simulate --full --seeds $${SEGUE_SEEDS:-20} --out docs/simulated.html --summary docs/simulated.md

gen: ## generated code again: templ and protobuf (protoc 3.21 from your distribution)
	./.ci/gen

fresh: ## generated code is what its sources say
	./.ci/fresh

browser:
	./.ci/browser

tools:
	./.ci/deploy
