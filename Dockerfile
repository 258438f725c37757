# The image of every service in docker-compose.yml, and of nothing else: it holds the whole stack, set up.
FROM debian:12
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bubblewrap ca-certificates krb5-admin-server krb5-kdc maven openjdk-17-jdk-headless \
      procps python3 python3-venv util-linux \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home market \
 && install -d -o market /opt/market /var/lib/market
USER market
WORKDIR /opt/market

# First what setup reads, and nothing that changes with every commit: the layer that takes minutes stays.
COPY --chown=market market requirements*.txt ./
COPY --chown=market java java
COPY --chown=market client client
COPY --chown=market config config
COPY --chown=market plugins/market/__init__.py plugins/market/
COPY --chown=market plugins/market/kit plugins/market/kit
COPY --chown=market plugins/market/ops plugins/market/ops
RUN ./market setup && rm -rf .market/uv-cache .market/m2
COPY --chown=market . .

# MARKET_CONTAINER tells `./market` that the engine starts and stops the services here, and not a supervisor.
ENV MARKET_CONTAINER=1 MARKET_STATE_DIR=/var/lib/market PYTHONPATH=/opt/market/plugins:/opt/market/client \
    PATH=/opt/market/.market/airflow-env/bin:/usr/local/bin:/usr/bin:/bin
