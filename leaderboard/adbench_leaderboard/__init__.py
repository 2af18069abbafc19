"""The leaderboard: a static site made from the database."""
