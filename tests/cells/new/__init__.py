"""Cells as somebody would add them, in files as the catalog takes them."""
