"""Showing: records in, text out."""
