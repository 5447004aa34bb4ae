# One image for the API, the worker, the migrations and the played outside world: the command decides.
FROM python:3.11-slim AS packages
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /data --create-home doorstep
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY . .
USER doorstep
VOLUME /data
EXPOSE 8700
CMD ["python", "-m", "api"]
