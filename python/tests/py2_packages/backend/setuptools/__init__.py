"""Stands for setuptools while pip downloads: the sdists' own setup.py is Python 2 and cannot say name and version."""
