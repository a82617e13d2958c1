"""Where models and data sets come from: the Hub, a local folder, what ships with us."""
