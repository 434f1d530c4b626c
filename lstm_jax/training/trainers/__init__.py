"""Rules that train networks on data sets, one file each."""
