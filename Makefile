# A thin front over CMake: `make` leaves the program at build/weft.
JOBS ?= $(shell nproc)
PRESET = cmake --preset $(1) >/dev/null && cmake --build build$(if $(filter-out release,$(1)),-$(1)) -j$(JOBS)

.PHONY: all deps demo test asan ubsan tsan fuzz bench format lint install clean parity bench-train
all: deps
	@$(call PRESET,release) --target weft weft_shared

deps:
	@scripts/deps.sh

demo: all
	@examples/persona/demo.sh

test: deps
	@$(call PRESET,release)
	@scripts/test.sh build

asan ubsan tsan: deps
	@$(call PRESET,$@)
	@scripts/test.sh build-$@

# Seconds for each target: make fuzz FUZZ_SECONDS=300
FUZZ_SECONDS ?= 60
fuzz:
	@scripts/deps.sh dev
	@$(call PRESET,fuzz)
	@scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS)

bench: all
	@scripts/bench.sh build

# PYTHON: an interpreter with torch, transformers and peft; SHAPES: qwen2.5-0.5b qwen2.5-1.5b
bench-train: all
	@$(or $(PYTHON),python3) tests/parity/bench_train.py build $(SHAPES)

parity:
	@tests/parity/run.sh

format:
	@clang-format-14 -i $$(git ls-files '*.c' '*.h')

lint: all
	@scripts/deps.sh dev
	@scripts/lint.sh build

install: all
	@cmake --install build

clean:
	@rm -rf build build-*
