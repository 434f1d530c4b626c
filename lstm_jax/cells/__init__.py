"""Recurrent networks, one file each."""
