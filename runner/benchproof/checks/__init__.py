"""The checks of `verify`, level 0: what a record claims, what its files hold, and whether the two agree."""
