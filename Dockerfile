# An image with unicorn-codec, built without a network from a folder of wheels; docs/installing.md says how to fill it.
#
#     docker build -t unicorn-codec .
#     docker run --rm -v "$PWD:/data" unicorn-codec pack photos out.uni
FROM python:3.11-slim
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,source=wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels -c /tmp/constraints.txt unicorn-codec
WORKDIR /data
ENTRYPOINT ["unicorn"]
