"""Result bundles: runs in one file of data, for somebody who has no reason to believe them, and what is done to believe them."""
