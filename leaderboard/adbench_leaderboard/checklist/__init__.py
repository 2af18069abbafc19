"""Items of reporting guidelines, and what the stored runs answer to them."""
