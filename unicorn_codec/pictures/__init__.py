"""Files and folders of pictures, AVIF and AV1 sequences, and how far a decoded picture is from its original."""
