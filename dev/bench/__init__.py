"""Measures the sync against the physical limit and against the ways it replaces: ratios within one run, never a timed test."""
