"""The engine of many machines: Dask's workers run groups of trials."""
