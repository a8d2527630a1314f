"""Students: who enrolls."""
