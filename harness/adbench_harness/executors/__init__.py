"""Where runs happen. An executor takes plans and gives outcomes; it is handed the same function everywhere."""
