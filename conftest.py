"""Settings of this repository's own tests; the suite itself is the installed plugin `yolo_perf.plugin`."""

pytest_plugins = ["pytester"]
