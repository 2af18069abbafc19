"""Pictures of test images, where the publisher lets them onto the site."""
