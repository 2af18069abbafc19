"""What a publisher does with a built site: look at it, look it over, see what changed."""
