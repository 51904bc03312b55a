"""Sources: where the images of a data set come from, one file each."""
