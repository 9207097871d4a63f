# What each target needs it sets up itself. On Windows, see docs/reference.md.
STEP ?= 1
FROM ?= 1
TO ?= 2
TICKETS ?= 1000
N ?= 1.1

python := .venv/bin/python

.PHONY: run mongo seed diff compare exercise site test test-quick test-long mutants bench lint

run: .venv/ready  ## serve a step: make run STEP=4
	$(python) -m workbench run $(STEP)

mongo: .venv/ready  ## run the local mongod alone
	$(python) -m workbench mongo

seed: .venv/ready  ## fill the desk with tickets like real ones: make seed TICKETS=500
	$(python) -m workbench seed --tickets $(TICKETS)

diff: .venv/ready  ## what changes from step to step: make diff FROM=3 TO=4
	$(python) -m workbench diff $(FROM) $(TO)

compare: .venv/ready  ## what each request makes MongoDB do, in each step
	$(python) -m workbench compare --tickets $(TICKETS)

exercise: .venv/ready  ## see whether you have solved an exercise: make exercise N=3.1
	$(python) -m pytest -n 0 -p tests.conftest exercises/test_$(subst .,_,$(N)).py

site: .venv/ready  ## build the walkthrough: .site/index.html
	$(python) -m workbench site

test: .venv/ready  ## prove that the four steps are one service
	$(python) -m pytest

test-quick: .venv/ready  ## the same in memory only, in less than a minute
	$(python) -m pytest --lane quick

test-long: .venv/ready  ## the same, with many more tries of each kind
	$(python) -m pytest --lane long

mutants: .venv/ready  ## prove that the tests can fail: break the steps, see who notices
	$(python) -m tests.repository.mutants

bench: .venv/ready  ## measure what the steps cost and gain: make bench, or make bench TICKETS=1000000
	$(python) -m benchmarks

lint: .venv/ready  ## lint, check the format, check the types
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy .

.venv/ready: requirements.txt
	python3 -m venv .venv
	$(python) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@
