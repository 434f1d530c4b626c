"""Parts of the 1997 rule: traces, the carousel, growth."""
