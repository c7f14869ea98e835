"""What an operator does to a home besides running it: upkeep, quarantine, trying rules before they are applied."""
