# The service. `make image` builds it for the CPU; with --build-arg DEVICE=gpu it brings CUDA from
# the same locked requirements, and needs only the driver of its host. TRACING=yes brings what
# SOLO_TRACES_ENDPOINT needs.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS libraries
ARG DEVICE=cpu
ARG TRACING=no
COPY requirements /requirements
# pip is of no use in what runs, and one thing less to keep patched.
RUN python -m venv /opt/solo \
 && /opt/solo/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps -r /requirements/serve-${DEVICE}.txt \
 && if [ "$TRACING" = yes ]; then /opt/solo/bin/python -m pip install --quiet --no-cache-dir \
      --disable-pip-version-check --require-hashes --no-deps -r /requirements/tracing.txt; fi \
 && /opt/solo/bin/python -m pip uninstall --quiet --yes setuptools pip

FROM ${PYTHON_IMAGE}
COPY --from=libraries /opt/solo /opt/solo
WORKDIR /solo
COPY LICENSE LICENSE
COPY solo solo
COPY app app
COPY model/zoo/*.onnx model/zoo/
# 0.0.0.0 is the container's own address; compose says what of it can be reached. glibc keeps up to
# 64 MiB of what an upload took for the next, instead of asking the kernel for cleared pages again.
ENV PATH=/opt/solo/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_TRIM_THRESHOLD_=67108864 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    SOLO_HOST=0.0.0.0
# Compiled now, since nothing can be written later. The build fails if what must not be there is, or
# if the service cannot be imported without it.
RUN python -m compileall -q solo app \
 && python -c "import importlib.util, sys; found = [*filter(importlib.util.find_spec, ('torch', 'onnx', 'model.network', 'export', 'pip'))]; sys.exit(f'not in this image: {found}' if found else 0)" \
 && python -c "import app.main"
# Last, so that a new commit alone rebuilds nothing.
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="SOLO X-ray" \
      org.opencontainers.image.description="Instance segmentation of radiographs. Research use only." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "app.main"]
