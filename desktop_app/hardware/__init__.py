"""What this computer has and how busy it is. Never imports torch."""
