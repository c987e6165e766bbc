"""What programs use although it is called private."""
