"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

from course_management import create_app

app = create_app()
