"""The command line `tokenflow`, assembled from the verbs of each room."""
