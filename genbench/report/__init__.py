"""Tables and pages made of a leaderboard."""
