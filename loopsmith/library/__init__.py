"""loopsmith as a library: what `loopsmith.improve` is made of, shared with the command line."""
