"""Deciding: what changed between two runs, and where runs are kept."""
