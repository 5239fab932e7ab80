"""What a person fills in, as plain objects without widgets."""
