"""Networks whose errors are measured by lag; see `lab.commands.vanishing`."""
