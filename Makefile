# SPDX-License-Identifier: Apache-2.0
# The short names of everything one does with this checkout; the work is in Scripts/.

.DEFAULT_GOAL := help
.PHONY: help run test test-long bench format

help: ## this list
	@echo "Orrery. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'make run URLS="https://example.com/ https://example.org/" scrapes pages of your choice.'

run: ## install, build, start a server with the web agent, scrape pages, stay up until Ctrl-C
	@Scripts/run

test: ## everything that must be green before a merge; ends with "N passed, N failed"
	@Scripts/test

test-long: ## the same with more seeds, more kill -9 rounds, thread sanitizer, fuzzing, a real manual
	@Scripts/test --long

bench: ## measure, print a table, write .build/bench.json
	@Scripts/bench

format: ## format every Swift file in place
	@Scripts/format
