"""The database: a cache made from run folders by one ingesting process at a time."""
