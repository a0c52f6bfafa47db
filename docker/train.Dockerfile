# The data set doctor, training and export:
#   docker run --rm -v "$PWD/films:/films:ro" \
#     localhost/solo-xray:train datasets.doctor --data /films --preset cxr-lungs
#   docker run --rm --gpus all --shm-size 2g -v "$PWD/films:/films:ro" -v "$PWD/runs:/runs" \
#     localhost/solo-xray:train model.train --preset cxr-lungs --data /films --out /runs/mine
#   docker run --rm -v "$PWD/films:/films:ro" -v "$PWD/runs:/runs" \
#     localhost/solo-xray:train export /runs/mine/checkpoint.pt --about /runs/about.toml --data /films \
#     --out /runs/mine.onnx
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
# torch by itself, as everywhere: which of its builds comes, CPU or CUDA, the index decides.
ARG TORCH=torch==2.13.0
RUN python -m venv /opt/solo \
 && /opt/solo/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check ${TORCH}
COPY requirements/export.txt /requirements.txt
RUN /opt/solo/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps -r /requirements.txt
WORKDIR /solo
COPY LICENSE LICENSE
COPY solo solo
COPY model model
COPY export export
COPY datasets datasets
ENV PATH=/opt/solo/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1
RUN python -m compileall -q solo model export datasets \
 && python -m datasets.doctor --help >/dev/null \
 && python -m datasets.phantom --help >/dev/null \
 && python -m model.train --help >/dev/null \
 && python -m export --help >/dev/null
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="SOLO X-ray training" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
# /runs has to be writable for this user.
USER 10001:10001
ENTRYPOINT ["python", "-m"]
CMD ["model.train", "--help"]
