"""What everything that brats_trt prints, draws and writes says of itself."""

NOTICE = "Research use only, not a medical device."
