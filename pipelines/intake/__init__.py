"""From a county's source to `raw/`: listing, pulling and keeping bytes. What is in them is the business of `screening`."""
