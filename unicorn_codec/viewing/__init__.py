"""What shows an archive's pictures to people: the gallery, contact sheets, and reports of packing."""
