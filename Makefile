# Thimble's developer commands. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

APT := gcc g++ make binutils python3-venv gcc-arm-none-eabi libnewlib-arm-none-eabi \
       gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-arm qemu-system-misc \
       clang libclang-rt-dev clang-format cppcheck chromium
PROBES := gcc arm-none-eabi-gcc riscv64-unknown-elf-gcc qemu-system-arm qemu-system-riscv32 \
          clang clang-format cppcheck chromium

.PHONY: help setup demo test lint format bench fuzz fuzz-models clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

setup: $(STAMP)  ## toolchains (apt, where missing) and .venv with thimble in it

$(STAMP): pyproject.toml constraints.txt tools/apt.sh
	sh tools/apt.sh "$(PROBES)" "$(APT)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,lint]"
	touch $@

demo: setup  ## the whole job on scikit-learn's digits, under 3 minutes
	$(BIN)/thimble demo --out out/demo

test: setup  ## the test suite
	$(BIN)/python -m pytest -n 2 -rs

lint: setup  ## ruff, mypy, clang-format, cppcheck
	$(BIN)/ruff check sdk tests bench examples
	$(BIN)/ruff format --check sdk tests bench examples
	$(BIN)/mypy
	find firmware boards -name '*.[ch]' | xargs clang-format --dry-run --Werror
	cppcheck --quiet --std=c99 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  -I firmware/include -I firmware/src firmware/src

format: setup  ## rewrite Python and C in the project's style
	$(BIN)/ruff check --fix sdk tests bench examples
	$(BIN)/ruff format sdk tests bench examples
	find firmware boards -name '*.[ch]' | xargs clang-format -i

bench: setup  ## every number in the README (an hour)
	$(BIN)/python -m bench

RUNS ?= 1000000
fuzz: setup  ## every decoder and init under libFuzzer: RUNS executions each, of FUZZ=... or all
	PYTHONPATH=sdk:tests:tests/model_image nice $(BIN)/python tests/fuzz/fuzz_run.py --runs $(RUNS) $(FUZZ)
	PYTHONPATH=sdk:tests nice $(BIN)/python tests/fuzz/fuzz_on_cores.py

fuzz-models: RUNS = 100000
fuzz-models: setup  ## RUNS mutated .tflite and .onnx files: nothing but thimble's own errors
	PYTHONPATH=sdk nice $(BIN)/python tests/fuzz/fuzz_models.py --runs $(RUNS)

clean:  ## remove what the targets made
	rm -rf $(VENV) out build dist .pio
