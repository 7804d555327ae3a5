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

test: ## lint, then the whole test suite on the real parts (ARGS="-k name" for some of it)
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

load: ## play many players and viewers with locust, with a report (ARGS="--help" for sizes and another server)
	@$(STACK) load --args='$(ARGS)'

simulate: ## simulate DynamoDB's partitions and ten million viewers (ARGS=--quick; ARGS=fan-out for a part)
	@$(STACK) simulate --args='$(ARGS)'

bench-start: ## measure the first `make run` on machines that have never seen it
	@$(STACK) bench-start

bench-path: ## measure the way of an update from the POST to 100 open pages
	@$(STACK) bench-path

bench-fanout: ## measure boards to thousands of sockets, next to other servers
	@$(STACK) bench-fanout --args='$(ARGS)'

bench-neighbours: ## measure what viewers do to each other and to HTTP
	@$(STACK) bench-neighbours --args='$(ARGS)'

bench-frames: ## measure how smoothly the page's rows move
	@$(STACK) bench-frames

bench-ranks: ## measure ranks among a million players
	@$(STACK) bench-ranks

bench-growth: ## measure what grows with players, viewers and updates (ARGS=--quick)
	@$(STACK) bench-growth --args='$(ARGS)'

bench-rivals: ## compare with what a user would pick instead, also under faults (ARGS=--quick)
	@$(STACK) bench-rivals --args='$(ARGS)'

faults: ## every fault, and what became of it (ONLY="F4 F9", FAST=1, PUBLISH=1 into docs/; random mix: MINUTES=, SEED=)
	@$(STACK) faults --args='$(if $(ONLY),--only $(ONLY)) $(if $(FAST),--fast) $(if $(PUBLISH),--publish) $(RANDOM_MIX)'

soak: ## half load with faults, and whether anything grows (MINUTES=30, SEED=)
	@$(STACK) soak --args='$(RANDOM_MIX)'

smoke: ## check a deployed scoreboard from the outside: URL= SMOKE_TOKEN= (or a client: docs/operations.md)
	@$(STACK) smoke

costs: ## compute what it costs on AWS, from list prices, and write docs/costs.md
	@$(STACK) costs

screenshots: ## take the README's pictures from a running demo (PORT=)
	@$(STACK) screenshots

# What deploy/settings.py reads, as far as it is given.
GIVEN = $(foreach name,ENVIRONMENT DOMAIN ZONE_ID ZONE_NAME REGION ALARM_EMAIL PUBLIC ADMIN_CIDRS SERVER_CIDRS \
  OIDC_ISSUER OIDC_CLIENT_ID SENTRY_SECRET RESTORED BEANSTALK_PLATFORM,$(if $($(name)),--set '$(name)=$($(name))'))

synth: ## make and check the CloudFormation templates: no account, no network
	@$(STACK) synth $(GIVEN)

deploy: ## put everything on AWS: ENVIRONMENT= DOMAIN= ZONE_ID= ZONE_NAME= REGION= ALARM_EMAIL= (docs/deploy.md)
	@$(STACK) deploy $(GIVEN) $(if $(YES),--yes)

diff: ## what `make deploy` would change, with the same variables
	@$(STACK) diff $(GIVEN)

destroy: ## remove from AWS what `make deploy` made with the same variables; asks before anything is done
	@$(STACK) destroy $(GIVEN)

audit: ## look for known vulnerabilities of what is locked
	@$(STACK) audit

lock: ## pin every package with its hashes, after a change of requirements*.txt
	@$(STACK) lock

clean: ## remove what was made; asks before data
	@$(STACK) clean
