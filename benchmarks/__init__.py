"""The benchmarks of the suite. Installed without a checkout: `pytest --pyargs yolo_perf.benchmarks`."""
