"""Programs around the suite: not installed with it."""
