"""Everything that speaks with a model hub; only the hub service and the download worker import it."""
