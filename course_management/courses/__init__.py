"""Courses: what is enrolled in."""
