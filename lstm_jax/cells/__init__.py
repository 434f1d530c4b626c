"""Recurrent nets, one file each."""
