"""Train the anatomy judge; nothing in here is needed to use it."""
