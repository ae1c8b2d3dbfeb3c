"""Deciding: what changed, from records alone: no clock, no disk, no process."""
