"""Everything the user sees; draws and listens, decides nothing."""
