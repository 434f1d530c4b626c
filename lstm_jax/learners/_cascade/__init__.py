"""Parts of Recurrent Cascade-Correlation."""
