"""The machine: who it is and how fast it can be."""
