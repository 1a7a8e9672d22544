"""One module or folder for each command of `handlatent`, its arguments beside it."""
