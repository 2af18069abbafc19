"""Pictures of a dataset's images, where the publisher lets them onto the site."""
