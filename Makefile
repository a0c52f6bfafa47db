# Each target sets up what it needs and is quick the second time. `make help` lists them.
PYTHON ?= python3.11
ifeq ($(shell command -v $(PYTHON) 2>/dev/null),)
$(warning $(PYTHON) is not here: name a Python from 3.11 on, as in make serve PYTHON=python3.12)
endif
SERVE  := .venv/serve
DEV    := .venv/dev
COMPARE := .venv/compare
GPU    := .venv/gpu
GATEWAY := .venv/gateway
GROUPS := serve-cpu serve-gpu tracing gateway train export compare dev supply asker compose
# Installed with torch, in the builds that its CPU or CUDA wheel asks for, and so not pinned here.
TORCH_BRINGS := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas \
  nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft \
  nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
  nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

# Containers: docker, or podman where there is no docker.
ENGINE  ?= $(shell docker info >/dev/null 2>&1 && echo docker || echo podman)
DEVICE  ?= cpu
TRACING ?= no
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' solo/__init__.py)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
COMPOSE := .venv/compose
SUPPLY  := .venv/supply
ASKER   := .venv/asker
TYPES   := .venv/types
VIEWER  := .venv/viewer
# No GPL, no LGPL, nothing unknown.
PERMISSIVE := MIT;BSD;Apache;PSF;0BSD;Zlib;CC0

.PHONY: help serve gateway try-pacs test test-pacs test-long test-page check-page pictures answers fuzz torture check doctor gather train export bench bench-gpu test-gpu peers compare image train-image test-description test-installed test-rules test-containers licences sbom audit lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# What one upload took is kept for the next, as in docker/app.Dockerfile.
serve: $(SERVE)/.ready  ## start the service on SOLO_HOST:SOLO_PORT (127.0.0.1:8000)
	MALLOC_TRIM_THRESHOLD_=67108864 MALLOC_MMAP_THRESHOLD_=33554432 $(SERVE)/bin/python -m app.main

gateway: $(GATEWAY)/.ready  ## start the DICOM gateway; its settings are SOLO_GATEWAY_...
	$(GATEWAY)/bin/python -m gateway

try-pacs: $(SERVE)/.ready $(GATEWAY)/.ready  ## the example film into an archive (Debian's orthanc, dcmtk), and its results out as pictures
	$(PYTHON) examples/try_pacs.py --service $(SERVE)/bin/python --gateway $(GATEWAY)/bin/python $(ARGS)

test: $(DEV)/.ready  ## all tests but the longest, the page's and the archive's, in two processes; ARGS="-k name" picks some
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -n 2 --dist loadfile -m "not long and not page and not pacs" $(ARGS)

test-pacs: $(DEV)/.ready  ## the gateway with a real archive (Debian's orthanc, dcmtk, dicom3tools) and a viewer's reader, and no network; ARGS="-m 'not long'" is short
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(VIEWER)/.ready; fi
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m tests.pacs $(ARGS)

test-long: $(DEV)/.ready  ## the tests that take a minute each
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -n 2 -m "long and not pacs" $(ARGS)

test-page: $(DEV)/.ready  ## the tests of the page, in Chromium where there is one
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -m "page and not long" tests/page $(ARGS)

check-page:  ## the types of the page's scripts, by TypeScript where there is npm
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(TYPES)/.ready && \
	  $(TYPES)/node_modules/.bin/tsc --project requirements/page/jsconfig.json; \
	else echo 'check-page is skipped: there is no npm'; fi

pictures: $(DEV)/.ready  ## the page's pictures in docs/, and what eight films take in milliseconds and memory
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m tests.page.pictures $(ARGS)

answers: $(DEV)/.ready  ## record 2,000 answers, or compare with a recording: make answers ARGS="record before.json"
	$(DEV)/bin/python -m tests.answers $(ARGS)

fuzz: $(DEV)/.ready  ## break 5,000 files of every kind and decode them; ARGS="--seed 1" breaks others
	$(DEV)/bin/python -m tests.fuzz.run $(ARGS)

torture: $(DEV)/.ready  ## attack the service while a good client asks: make torture ARGS="--only slow-heads"
	$(DEV)/bin/python -m tests.torture $(ARGS)

check: $(DEV)/.ready  ## lint, format, types, import rules
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

doctor: $(DEV)/.ready  ## say what a data set's films will do to a training: make doctor ARGS="--data DIR --preset cxr-lungs"
	$(DEV)/bin/python -m datasets.doctor $(ARGS)

gather: $(DEV)/.ready  ## make one COCO data set of several: make gather ARGS="A B --out DIR"
	$(DEV)/bin/python -m datasets.gather $(ARGS)

train: $(DEV)/.ready  ## train a network: make train ARGS="--preset cxr-lungs --data DIR --out runs/mine"
	$(DEV)/bin/python -m model.train $(ARGS)

export: $(DEV)/.ready  ## write an ONNX file: make export ARGS="CHECKPOINT --about ... --data ... --out ..."
	$(DEV)/bin/python -m export $(ARGS)

bench: $(DEV)/.ready  ## time the service against its bare parts on this machine
	$(DEV)/bin/python -m benchmarks.latency $(ARGS)

test-gpu: $(GPU)/.ready  ## the tests that need a GPU, on a machine that has one
	$(GPU)/bin/python -m pytest -m gpu $(ARGS)

bench-gpu: $(GPU)/.ready  ## time the service on a GPU beside the bare graph, by precision and batch size
	$(GPU)/bin/python -m benchmarks.accelerated $(ARGS)

peers: $(DEV)/.ready  ## compare with model servers on a simulated accelerator
	$(DEV)/bin/python -m benchmarks.simulated $(ARGS)

compare: $(COMPARE)/.ready  ## train SOLO, a U-Net and Mask2Former alike: make compare ARGS="--preset crowded --data DIR --test DIR --out DIR"
	$(COMPARE)/bin/python -m experiments.comparison $(ARGS)

image:  ## build the service's image; DEVICE=gpu for the one with CUDA
	BUILDAH_ISOLATION=chroot $(ENGINE) build -t localhost/solo-xray:$(DEVICE) -f docker/app.Dockerfile \
	  --build-arg DEVICE=$(DEVICE) --build-arg TRACING=$(TRACING) --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .

train-image:  ## build the image for training and export
	BUILDAH_ISOLATION=chroot $(ENGINE) build -t localhost/solo-xray:train -f docker/train.Dockerfile \
	  --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .

test-description: $(DEV)/.ready $(ASKER)/.ready  ## ask the service what its OpenAPI description allows, and what not
	$(DEV)/bin/python -m tests.description.run $(ASKER)/bin/schemathesis $(ARGS)

test-installed:  ## install the library away from the source tree, and try it
	$(PYTHON) tests/installed/run.py

test-rules:  ## test the alert rules with promtool
	cd docker/prometheus && promtool check config prometheus.yml && promtool test rules rules_test.yml

test-containers: $(COMPOSE)/.ready  ## build the image, run the compose stack, try what it promises
	$(PYTHON) tests/containers/prove.py $(COMPOSE)/bin/podman-compose $(ARGS)

licences: $(SERVE)/.ready $(GATEWAY)/.ready $(SUPPLY)/.ready  ## list the licences of what serves, and of the gateway; fails for one that is not permissive
	for one in $(SERVE) $(GATEWAY); do \
	  $(SUPPLY)/bin/pip-licenses --python $$one/bin/python --from=mixed --partial-match --allow-only='$(PERMISSIVE)' || exit 1; \
	done

sbom: $(SERVE)/.ready $(SUPPLY)/.ready  ## write what serves as a bill of materials: sbom.json
	$(SERVE)/bin/python -m requirements.sbom $(SUPPLY)/bin/cyclonedx-py >sbom.json
	$(SUPPLY)/bin/python -c "import sys; from cyclonedx.schema import SchemaVersion; \
	  from cyclonedx.validation.json import JsonStrictValidator; \
	  sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))" <sbom.json

audit: $(SUPPLY)/.ready  ## look all pins up in public advisories; error 3 where there are none
	requirements/audit $(SUPPLY)/bin/pip-audit

lock: $(DEV)/.ready  ## pin every group of pyproject.toml anew
	for group in $(GROUPS); do \
	  $(DEV)/bin/python -m uv pip compile --group $$group --quiet \
	    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    $$(test $$group = serve-gpu || echo $(addprefix --no-emit-package ,$(TORCH_BRINGS))) --no-emit-index-url \
	    --no-emit-find-links --no-header --no-annotate \
	    --output-file requirements/$$group.txt || exit 1; \
	done

# Tools, each kind apart. Schemathesis as a plugin of pytest would load with every test.
$(COMPOSE)/.ready: requirements/compose.txt
$(SUPPLY)/.ready: requirements/supply.txt
$(ASKER)/.ready: requirements/asker.txt
$(COMPOSE)/.ready $(SUPPLY)/.ready $(ASKER)/.ready:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

$(TYPES)/.ready: requirements/page/package-lock.json
$(VIEWER)/.ready: tests/pacs/cornerstone/package-lock.json
$(TYPES)/.ready $(VIEWER)/.ready:
	mkdir -p $(@D)
	cp $(<D)/package.json $< $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --silent
	touch $@

# As the one for development, but with the ONNX Runtime that has CUDA: the two exclude each other.
$(GPU)/.ready: requirements/dev.txt requirements/serve-gpu.txt
	$(PYTHON) -m venv --clear $(GPU)
	$(GPU)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(GPU)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	$(GPU)/bin/python -m pip uninstall --quiet --yes onnxruntime
	$(GPU)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/serve-gpu.txt
	touch $@

clean:  ## remove the environments
	rm -rf .venv

# Only the service's own requirements: torch is not among them.
$(SERVE)/.ready: requirements/serve-cpu.txt
	@echo 'Setting up the service (once) ...'
	$(PYTHON) -m venv --clear $(SERVE)
	$(SERVE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

$(GATEWAY)/.ready: requirements/gateway.txt
	@echo 'Setting up the gateway (once) ...'
	$(PYTHON) -m venv --clear $(GATEWAY)
	$(GATEWAY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# torch first and by itself: whether its build is for the CPU or for CUDA is the machine's choice.
$(DEV)/.ready: requirements/dev.txt
$(COMPARE)/.ready: requirements/compare.txt
$(DEV)/.ready $(COMPARE)/.ready:
	@echo 'Setting up training in $(@D) (once, with torch) ...'
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@
