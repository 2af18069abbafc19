"""The pages of the site, a module each: what it asks the database, and the template it fills."""
