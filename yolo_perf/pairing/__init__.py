"""Pairing: two sides measured beside each other, process by process."""
