"""The command line of unicorn-codec. A command parses, calls the library, prints."""
