"""What is given away: archives, locks, `.env`, and the versions it is tested with."""
