"""Adds students to groups and removes them. The table is in `students/models.py`."""
