"""All that has effects: files, threads, clocks, flags."""
