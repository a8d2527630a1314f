"""Holds: they block acts of a student until they are released."""
