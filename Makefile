# Everything runs with the tools that scripts/bootstrap.sh sets up; `make help` lists the targets.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
.PHONY: help demo build component test acceptance package-test lint audit docs release-check publish bench chaos fuzz edge-function deploy-check clean
.DEFAULT_GOAL := help

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo: build ## send a real image to an embedded Supabase, then serve the page (ONCE=1: stop after the image)
	@ONCE=$(ONCE) node scripts/demo.mjs

build: ## build the npm package in pkg/
	@scripts/bootstrap.sh build
	@scripts/build.sh

component: ## build the WASI 0.2 component in target/component, for servers without JavaScript
	@scripts/bootstrap.sh component
	@scripts/component.sh

test: ## run all tests (SUITES="rust vectors": only these; JOBS=1: one by one)
	@scripts/bootstrap.sh test
	@scripts/build.sh
	@node scripts/test.mjs $(SUITES)

package-test: ## pack the package, install it, and use it in every kind of host and bundler, and in each example
	@scripts/bootstrap.sh package
	@scripts/build.sh
	@CHROME=.tools/bin/chromium node --test --test-concurrency=1 --test-reporter=spec tests/packaging/*.test.mjs

lint: build ## formatters, linters, type checks, documentation
	@scripts/lint.sh

docs: ## build the documentation as a site in target/docs, and look for dead links and bad pages
	@scripts/bootstrap.sh docs
	@rm -rf target/docs
	@npm run --silent build --prefix docs/site
	@CHROME=.tools/bin/chromium node --test --test-reporter=spec tests/site/*.test.mjs

audit: ## licences, sources and known weaknesses of what this is built on, and a list of what ships
	@scripts/bootstrap.sh audit
	@scripts/audit.sh

acceptance: ## try the promises against any running project (URL=… KEY=… JWT_SECRET=…, or TOKENS=token,token of two users; SECRET_KEY=… for the Worker)
	@scripts/bootstrap.sh test
	@scripts/build.sh
	@CHROME=.tools/bin/chromium URL=$(URL) KEY=$(KEY) JWT_SECRET=$(JWT_SECRET) SECRET_KEY=$(SECRET_KEY) TOKENS=$(TOKENS) node tests/acceptance/run.mjs

release-check: build docs audit ## whether this commit could be released (RELEASE=1: and is tagged and dated as one)
	@RELEASE=$(RELEASE) node scripts/release-check.mjs

publish: build ## publish the package to npm, from the release workflow only
	@node scripts/publish.mjs

bench: ## measure sizes and speeds
	@scripts/bootstrap.sh test
	@scripts/build.sh
	-@scripts/component.sh
	@node benches/run.mjs

chaos: ## thousands of syncs and a killed browser through faults, at length (some minutes)
	@scripts/bootstrap.sh test
	@scripts/build.sh
	@CHROME=.tools/bin/chromium node tests/chaos/long.mjs

fuzz: ## look for input that breaks what reads it (TIME=600: seconds a target, TARGETS="image job", KEEP=1: keep what is found)
	@scripts/bootstrap.sh fuzz
	@scripts/build.sh
	@TIME=$(TIME) KEEP=$(KEEP) fuzz/run.sh $(TARGETS)
	@FUZZ_ROUNDS=10000 node --test --test-reporter=spec tests/package/fuzz.test.mjs

edge-function: build ## make supabase/functions/imagen ready for supabase functions deploy
	@node scripts/edge-function.mjs

deploy-check: build ## build the Worker as it is deployed, and check its configuration
	@npm run --silent deploy-check -w imagen-cloud-worker

clean: ## remove what was built; the tools stay in the cache
	@rm -rf target pkg/wasm www/*/dist www/*/dist-demo
