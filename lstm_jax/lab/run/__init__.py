"""Plans run: the scheduler, its threads, its recorder, and every main."""
