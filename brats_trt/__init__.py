"""Brain tumour segmentation in MRI."""
