"""A worker's tools for agents that are programs of others, over the Model Context Protocol.

The campaign answers on a Unix socket in the worker's scratch folder (`host`); `loopsmith mcp`, which the agent starts,
speaks MCP on its standard input and output and passes each call on (`server`). So the campaign stays the tracker's
only writer, and what the agent starts holds nothing but a token that is worth this one worker's tools.
"""
