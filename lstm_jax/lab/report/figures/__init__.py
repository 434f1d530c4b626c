"""Runs on data sets: their table, report and figures."""
