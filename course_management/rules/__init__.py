"""The rules of registration: who may register when, for what, and why not. Pure functions of facts.

Uses no database, no clock and no HTTP. Read `facts.py` first, then `evaluator.py`. Each rule is a
module of its own; `evaluator.RULES` lists them.
"""
