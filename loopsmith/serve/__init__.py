"""`loopsmith serve`: the campaigns of a tracker as web pages, as a JSON API and as metrics."""
