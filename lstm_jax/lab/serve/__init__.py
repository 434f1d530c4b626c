"""Shows run folders in a browser while trials run; it only reads."""
