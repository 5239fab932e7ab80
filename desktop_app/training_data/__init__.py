"""The user's data: one streaming reader and one tokenization for preview and worker."""
