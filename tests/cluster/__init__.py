"""Tests on a real cluster: Slurm's daemons, as four nodes, on this machine."""
