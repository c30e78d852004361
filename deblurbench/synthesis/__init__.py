"""A virtual 240 fps camera that moves over photographs, and the GOPRO recipe that turns its frames into blurry ones.

`trajectory` shakes the camera, `scene` renders sub-pixel sub-frames of a photograph with objects in front, `exposure`
averages them, `source` makes endless training batches of it, `rendered` writes whole clips to disk.
"""
