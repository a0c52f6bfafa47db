# The DICOM gateway: a client of the service, without its models and decoders.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS libraries
COPY requirements /requirements
RUN python -m venv /opt/solo \
 && /opt/solo/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
      --require-hashes --no-deps -r /requirements/gateway.txt \
 && /opt/solo/bin/python -m pip uninstall --quiet --yes setuptools pip

FROM ${PYTHON_IMAGE}
COPY --from=libraries /opt/solo /opt/solo
WORKDIR /solo
COPY LICENSE LICENSE
COPY solo solo
COPY gateway gateway
# 0.0.0.0 is the container's own address; compose says what of it can be reached.
ENV PATH=/opt/solo/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    SOLO_GATEWAY_HOST=0.0.0.0 \
    SOLO_GATEWAY_METRICS_HOST=0.0.0.0
# Compiled now, since nothing can be written later; and it can be imported. /state takes the cursor.
RUN python -m compileall -q solo gateway && python -c "import gateway.__main__" \
 && install -d -o 10001 -g 10001 -m 700 /state
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="SOLO X-ray, DICOM gateway" \
      org.opencontainers.image.description="Films of an archive to segmentations in it. Research use only." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
USER 10001:10001
EXPOSE 11112 9112
CMD ["python", "-m", "gateway"]
