"""The recurrent layer: any cell over whole sequences."""
