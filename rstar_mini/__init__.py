"""rstar_mini: rStar-Math on one machine."""
