"""The local JSON API and the guard of the port."""
