# Each target sets up what it needs and is quick the second time. `make help` lists them.
PYTHON ?= python3.11
SERVE  := .venv/serve
DEV    := .venv/dev
GROUPS := serve-cpu serve-gpu train export dev
# Installed with torch, in the builds that its CPU or CUDA wheel asks for, and so not pinned here.
TORCH_BRINGS := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas \
  nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft \
  nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
  nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

.PHONY: help serve test fuzz check train export bench peers lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: $(SERVE)/.ready  ## start the service on SOLO_HOST:SOLO_PORT (127.0.0.1:8000)
	$(SERVE)/bin/python -m app.main

test: $(DEV)/.ready  ## all tests; ARGS="-k name" picks some
	$(DEV)/bin/python -m pytest $(ARGS)

fuzz: $(DEV)/.ready  ## break 5,000 files of every kind and decode them; ARGS="--seed 1" breaks others
	$(DEV)/bin/python -m tests.fuzz.run $(ARGS)

check: $(DEV)/.ready  ## lint, format, types, import rules
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

train: $(DEV)/.ready  ## train a network: make train ARGS="--preset cxr-lungs --data DIR --out runs/mine"
	$(DEV)/bin/python -m model.train $(ARGS)

export: $(DEV)/.ready  ## write an ONNX file: make export ARGS="CHECKPOINT --about ... --films ... --out ..."
	$(DEV)/bin/python -m export $(ARGS)

bench: $(DEV)/.ready  ## time the service against its bare parts on this machine
	$(DEV)/bin/python -m benchmarks.latency $(ARGS)

peers: $(DEV)/.ready  ## compare with model servers on a simulated accelerator
	$(DEV)/bin/python -m benchmarks.simulated $(ARGS)

lock: $(DEV)/.ready  ## pin every group of pyproject.toml anew
	for group in $(GROUPS); do \
	  $(DEV)/bin/python -m uv pip compile pyproject.toml --group $$group --quiet \
	    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    $$(test $$group = serve-gpu || echo $(addprefix --no-emit-package ,$(TORCH_BRINGS))) --no-emit-index-url \
	    --no-emit-find-links --no-header --no-annotate \
	    --output-file requirements/$$group.txt || exit 1; \
	done

clean:  ## remove the environments
	rm -rf .venv

# Only the service's own requirements: torch is not among them.
$(SERVE)/.ready: requirements/serve-cpu.txt
	@echo 'Setting up the service (once) ...'
	$(PYTHON) -m venv --clear $(SERVE)
	$(SERVE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# torch first and by itself: whether its build is for the CPU or for CUDA is the machine's choice.
$(DEV)/.ready: requirements/dev.txt
	@echo 'Setting up training and development (once, with torch) ...'
	$(PYTHON) -m venv --clear $(DEV)
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@
