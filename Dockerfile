# syntax=docker/dockerfile:1
# Two targets of one content: `cpu` and `cuda`. torchvision links the CUDA libraries that come with torch from the
# registry and does not load without them, so the image for a CPU cannot leave them out. What differs is that
# `cuda` asks the NVIDIA runtime for the devices.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /uv && /uv/bin/pip install --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/app UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# The libraries first: they change with uv.lock alone, and a new line of our own then builds in seconds.
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --frozen --no-dev --no-install-project --compile-bytecode
COPY . .
RUN /uv/bin/uv sync --frozen --no-dev --no-editable --compile-bytecode

FROM python:3.11-slim-bookworm AS base
RUN groupadd --gid 10001 facewarden \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin facewarden \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /app /app
# Only /data and /tmp are written to.
ENV PATH=/app/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
ENTRYPOINT ["facewarden"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001

FROM base AS cpu
USER 10001:10001
