"""Studies: what is to be measured. Pure data, no pytest, no GPU."""
