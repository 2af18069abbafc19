"""Whether a plugin keeps the rules: checks that its author runs before anybody else does."""
