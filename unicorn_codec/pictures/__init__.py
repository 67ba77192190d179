"""Files and folders of pictures, AVIF and AV1 sequences, and measures of distortion."""
