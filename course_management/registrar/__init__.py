"""The registrar's acts on a whole course: cancel it, move its students, undo mistaken drops.

May import enrollments and everything below it. Read service.py first.
"""
