"""Keeping: what lies on disk, read and written."""
