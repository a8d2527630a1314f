"""Overrides: each lifts one rule for one student."""
