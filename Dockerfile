# Airflow with this package and its DAGs: everything from the lock, nothing fetched at run time, nothing of ours run as root.
#
# The package lives in a virtual environment of its own beside the base image's: so exactly the locked versions run, whatever the image brings along. The slim
# image is enough for that. Another one, a mirror's for instance: --build-arg AIRFLOW_IMAGE=...
# The locks are complete: --no-deps keeps pip from looking further, and `pip check` says whether anything was missing.
ARG AIRFLOW_IMAGE=apache/airflow:slim-3.3.2-python3.13

# hadolint ignore=DL3006
FROM ${AIRFLOW_IMAGE} AS build
# hadolint ignore=DL3002
USER 0:0
WORKDIR /build
RUN python -m venv /opt/economic && python -m venv builder
COPY requirements/container.txt requirements/build.txt requirements/
RUN /opt/economic/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/container.txt \
    && builder/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY plugins plugins
COPY include include
COPY dags dags
RUN builder/bin/python -m hatchling build -t wheel \
    && /opt/economic/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps dist/*.whl \
    && /opt/economic/bin/python -m pip check
COPY deploy/container /opt/economic/bin/
COPY dags /opt/economic/dags
# Whatever the rights in the checkout were: read by everybody, written by root. (COPY --chmod would ask for BuildKit.)
RUN chmod -R a+rX,go-w /opt/economic && chmod 0755 /opt/economic/bin/secret-url /opt/economic/bin/initialise.py

# hadolint ignore=DL3006
FROM ${AIRFLOW_IMAGE}
# Owned by root, in a folder of root: who runs it can neither write nor replace it. /opt/airflow belongs to Airflow's user.
COPY --from=build --chown=0:0 /opt/economic /opt/economic
ENV PATH=/opt/economic/bin:${PATH} \
    VIRTUAL_ENV=/opt/economic \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/economic/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
USER 50000:0
