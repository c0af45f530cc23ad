# The online server alone: no Mage, a third of the other image. Build it from the repository's root:
#   docker build -f deploy/serving.Dockerfile -t mlops-serving .
FROM python:3.11-slim

# libgomp: XGBoost and scikit-learn.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/mlops
COPY requirements/bootstrap.txt requirements/serving.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/bootstrap.txt \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r requirements/serving.txt

COPY pyproject.toml README.md ./
COPY mlops mlops
COPY extensions extensions
RUN uv pip install --system --no-cache --no-deps --no-build-isolation -e . \
    && python -m compileall -q mlops \
    && useradd --create-home --uid 1000 mlops \
    && install -d -o mlops -g mlops /var/lib/mlops

USER mlops
# The keys, the bundles and the last state live here: keep it in a volume.
ENV MLOPS_HOME=/var/lib/mlops MLOPS_SERVING__HOST=0.0.0.0 MLOPS_SERVING__METRICS_HOST=0.0.0.0
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# Workers finish their requests within 20 seconds: give `docker stop` 40.
STOPSIGNAL SIGTERM
CMD ["mlops", "serve"]
