"""Programs compiled for a GPU and a TPU that are not there."""
