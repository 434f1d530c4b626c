"""Commands: what each main of `experiments` runs."""
