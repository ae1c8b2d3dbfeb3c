"""Tests of yolo_perf.machine."""
