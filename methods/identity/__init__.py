"""The blurry input, unchanged: the row every table begins with."""
