"""Enrollments: which student takes which course."""
