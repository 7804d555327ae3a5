# Every verb also works without make: python3 -m tools VERB --help
PYTHON ?= python3
PORT ?= 8000
DATA_DIR ?= .local
export PORT DATA_DIR URL

STACK = exec $(PYTHON) -m tools
RANDOM_MIX = $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.DEFAULT_GOAL := help
.PHONY: help run test check lint token verify load simulate bench-start bench-path bench-fanout bench-neighbours bench-frames \
	bench-ranks bench-growth bench-rivals faults soak smoke costs screenshots synth deploy diff destroy audit \
	lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## start everything: http://127.0.0.1:8000 (PORT=, DATA_DIR=, DEMO=1 for simulated players)
	@$(STACK) run --stop-with $$PPID $(if $(filter-out 0 no false,$(DEMO)),--demo)

test: ## lint, then run all tests with real stores (ARGS="-k name" for some of them)
	@$(STACK) test --args='$(ARGS)'

check: ## lint, types and the unit tests, in a minute
	@$(STACK) check

lint: ## ruff and mypy
	@$(STACK) lint

token: ## print an access token: make -s token USER=ann [SCOPE=scoreboard/score.write]
ifeq ($(origin USER)$(if $(USER),,?),command line)
	@$(STACK) token --user='$(USER)' $(if $(SCOPE),--scope='$(SCOPE)')
else
	@echo 'error: say whose token: make -s token USER=ann' >&2; exit 2
endif

verify: ## check every ledger against its player (while make run runs)
	@$(STACK) verify

load: ## simulate many players and viewers with locust (ARGS="--help" for sizes and another server)
	@$(STACK) load --args='$(ARGS)'

simulate: ## simulate DynamoDB's partitions and ten million viewers (ARGS=--quick; ARGS=fan-out for a part)
	@$(STACK) simulate --args='$(ARGS)'

bench-start: ## measure the first `make run` on a machine with nothing installed
	@$(STACK) bench-start

bench-path: ## measure an update from the POST to 100 open pages
	@$(STACK) bench-path

bench-fanout: ## measure fan-out to thousands of sockets, next to other servers
	@$(STACK) bench-fanout --args='$(ARGS)'

bench-neighbours: ## measure how viewers slow down each other and HTTP requests
	@$(STACK) bench-neighbours --args='$(ARGS)'

bench-frames: ## measure the frame rate of the page while its rows move
	@$(STACK) bench-frames

bench-ranks: ## measure ranks among a million players
	@$(STACK) bench-ranks

bench-growth: ## measure how costs grow with players, viewers and updates (ARGS=--quick)
	@$(STACK) bench-growth --args='$(ARGS)'

bench-rivals: ## compare with Express + socket.io and plain Channels, also under faults (ARGS=--quick)
	@$(STACK) bench-rivals --args='$(ARGS)'

faults: ## run every fault scenario (ONLY="F4 F9", FAST=1; PUBLISH=1 writes docs/; MINUTES= and SEED= for a random mix)
	@$(STACK) faults --args='$(if $(ONLY),--only $(ONLY)) $(if $(FAST),--fast) $(if $(PUBLISH),--publish) $(RANDOM_MIX)'

soak: ## run at half load with random faults, and check that nothing grows (MINUTES=30, SEED=)
	@$(STACK) soak --args='$(RANDOM_MIX)'

smoke: ## check a deployed scoreboard over HTTP: URL= SMOKE_TOKEN= (or a client: docs/operations.md)
	@$(STACK) smoke

costs: ## compute the costs on AWS from list prices, and write docs/costs.md
	@$(STACK) costs

screenshots: ## take the README's pictures of a running demo (PORT=)
	@$(STACK) screenshots

# The settings of deploy/settings.py that the command line gives.
GIVEN = $(foreach name,ENVIRONMENT DOMAIN ZONE_ID ZONE_NAME REGION ALARM_EMAIL PUBLIC ADMIN_CIDRS SERVER_CIDRS \
  OIDC_ISSUER OIDC_CLIENT_ID SENTRY_SECRET RESTORED BEANSTALK_PLATFORM,$(if $($(name)),--set '$(name)=$($(name))'))

synth: ## make and check the CloudFormation templates; needs no account and no network
	@$(STACK) synth $(GIVEN)

deploy: ## deploy to AWS: ENVIRONMENT= DOMAIN= ZONE_ID= ZONE_NAME= REGION= ALARM_EMAIL= (docs/deploy.md)
	@$(STACK) deploy $(GIVEN) $(if $(YES),--yes)

diff: ## show what `make deploy` would change, with the same variables
	@$(STACK) diff $(GIVEN)

destroy: ## remove from AWS what `make deploy` made, with the same variables; asks first
	@$(STACK) destroy $(GIVEN)

audit: ## look up the locked packages in the database of known vulnerabilities
	@$(STACK) audit

lock: ## pin every package with its hashes, after a change of requirements*.txt
	@$(STACK) lock

clean: ## remove .venv and caches; asks before it removes data
	@$(STACK) clean
