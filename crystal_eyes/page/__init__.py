"""The web page over the recogniser."""
