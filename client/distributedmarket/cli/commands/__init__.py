"""The commands. Each function declares the options of one, and what runs it."""
