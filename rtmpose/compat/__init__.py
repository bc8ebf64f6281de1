"""Drop-in classes for people who leave another package."""
