# The service in a container, from this checkout:
#   docker build -t rtmpose .                                  (CPU)
#   docker build -t rtmpose:gpu --target gpu .                 (NVIDIA)
#   docker run -p 8000:8000 -e RTMPOSE_TOKEN=$(openssl rand -hex 16) rtmpose

# Other base images: with --build-arg.
ARG PYTHON_IMAGE=python:3.12-slim
ARG CUDA_IMAGE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04

FROM ${PYTHON_IMAGE} AS source
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY rtmpose rtmpose
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS cpu
COPY --from=source /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/rtmpose-*.whl)[serve,parquet,heif]" && rm -r /wheels
RUN useradd --create-home --uid 10001 rtmpose && mkdir /data && chown rtmpose /data
USER 10001
ENV PYTHONUNBUFFERED=1 RTMPOSE_OFFLINE=1
EXPOSE 8000 8001
VOLUME /data
# Python itself, as the image has no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["rtmpose", "serve", "--host", "0.0.0.0", "--data", "/data", "--log-json"]
CMD ["--grpc-port", "8001"]

# The engine for GPUs takes the place of the others: both builds of one together disable CUDA. From
# 1.27 on it needs CUDA 13.
FROM ${CUDA_IMAGE} AS gpu
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --no-install-recommends -y python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*
COPY --from=source /wheels /wheels
ENV PATH=/opt/rtmpose/bin:$PATH PYTHONUNBUFFERED=1 RTMPOSE_OFFLINE=1
RUN python3 -m venv /opt/rtmpose \
  && pip install --no-cache-dir "$(echo /wheels/rtmpose-*.whl)[serve,parquet,heif]" \
  && pip uninstall -y onnxruntime openvino openvino-telemetry \
  && pip install --no-cache-dir "onnxruntime-gpu>=1.19,<1.27" \
  && rm -r /wheels
RUN useradd --create-home --uid 10001 rtmpose && mkdir /data && chown rtmpose /data
USER 10001
EXPOSE 8000 8001
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["rtmpose", "serve", "--host", "0.0.0.0", "--data", "/data", "--log-json"]
CMD ["--device", "cuda", "--max-batch", "64", "--grpc-port", "8001"]

# What `docker build .` makes.
FROM cpu
