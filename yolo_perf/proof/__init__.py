"""Proving: how often the gate is wrong."""
