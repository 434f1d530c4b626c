"""Parts of the neural sequence chunker."""
