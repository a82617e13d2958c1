"""Statistics of scores: intervals, paired tests, equivalence, power. Pure functions over numbers; docs/statistics.md.

Nothing is imported here: scipy is slow to load, and what only verifies a record needs none of it.
Scores and differences are proportions (0.01 is one point). An impossible argument is a ValueError: the caller's bug.
"""
