"""Understanding: rounds, work, roofline, agreement."""
