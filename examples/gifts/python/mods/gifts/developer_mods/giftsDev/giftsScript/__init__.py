"""Players who give each other money, challenge each other, and have accounts."""
