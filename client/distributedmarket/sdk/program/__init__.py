"""A program of this host on its way to a market: what goes along, what is wrong, what has changed."""
