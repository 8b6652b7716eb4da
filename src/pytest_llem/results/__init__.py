"""What was found, how it is stored and judged."""
