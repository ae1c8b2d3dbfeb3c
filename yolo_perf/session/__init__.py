"""A pytest session that measures."""
