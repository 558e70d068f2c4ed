"""Submissions: bundles of runs that people send to a leaderboard, and how a machine verifies them.

``pack`` and ``outside`` make a bundle, ``bundle`` knows its layout and manifest, ``verify`` takes it through the
levels, ``accept`` writes what was verified into a results folder. What each level promises stands in
``docs/submissions.md``.
"""
