"""The morning report: facts, sentences, and three ways to write them down."""
