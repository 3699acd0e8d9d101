FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends make git && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN make .venv/.ready && useradd --create-home facewarden && mkdir /data && chown facewarden /data
USER facewarden
ENTRYPOINT ["/app/.venv/bin/facewarden"]
