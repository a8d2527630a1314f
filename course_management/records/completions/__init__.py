"""Completions: courses, transfers and tests that a student has done, tried or begun."""
