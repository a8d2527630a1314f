"""What the school knows about a student besides their enrollments: groups, completions, holds and
overrides.

May import `students`, `courses` and the packages below them. Read `rows.py` first, then
`completions/`. The service stores and shows these facts; the rules of registration judge them.
"""
