"""From a folder to a container: codes of its pictures, or a network that knows them."""
