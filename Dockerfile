# The service: gunicorn on a unix socket that nginx shares (compose.yaml), or on TCP with HOST=0.0.0.0.
FROM python:3.13.15-slim-trixie AS build
WORKDIR /srv
COPY requirements.txt .
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13.15-slim-trixie
RUN useradd --system --uid 10001 --no-create-home course-management \
    && install -d -o course-management /run/course-management
WORKDIR /srv
COPY --from=build /srv/.venv .venv
COPY gunicorn.conf.py wsgi.py ./
COPY migrations migrations
COPY course_management course_management
ENV PATH=/srv/.venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=unix:/run/course-management/gunicorn.sock AUTH=required
USER 10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/course-management/gunicorn.sock'); s.sendall(b'GET /health/live HTTP/1.0\\r\\n\\r\\n'); assert b' 200 ' in s.recv(99)"]
STOPSIGNAL SIGTERM
CMD ["gunicorn", "wsgi:app"]
