"""How nets are trained on data sets, one file each."""
