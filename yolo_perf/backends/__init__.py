"""The optimisations: one file each, every one turning a model into a callable."""
