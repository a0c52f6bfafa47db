# Orthanc as Debian packages it: an archive to try the gateway with (docs/pacs.md), in place of the
# hospital's own. A program of others under GPL-3.0, its DICOMweb plugin under AGPL-3.0: this builds
# it from Debian's mirrors, and nothing of it is in what this project ships. No orthanc-python.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      orthanc orthanc-dicomweb >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && test ! -e /usr/share/orthanc/plugins/libOrthancPython.so
USER 10001:10001
EXPOSE 4242 8042
CMD ["Orthanc", "/etc/solo/orthanc.json"]
