"""The commands of the command line, one module a topic. Thin: parse, call, print."""
