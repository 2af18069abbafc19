"""The atlas of hard images: which test images detectors get wrong, and whether they get the same ones wrong.

view.py        models side by side on the test images of one split, under one protocol
gather.py      views from the database
hard.py        lists of images that say most
agreement.py   Cohen's and Fleiss' kappa and flips between seeds: arrays in, numbers out
summary.py     what the page says of a view
shard.py       a view as a file that the page loads
collected.py   the atlas of a dataset, pictures included
"""
