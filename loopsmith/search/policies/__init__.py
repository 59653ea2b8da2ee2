"""The built-in search policies, registered under the entry point group `loopsmith.policies`."""
