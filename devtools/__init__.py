"""What tests, benchmarks and `make up` share: a PostgreSQL, a gunicorn, the production topology."""
