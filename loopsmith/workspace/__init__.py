"""Where candidates live: snapshots of the source, folders to work and verify in, changes, the sandbox."""
