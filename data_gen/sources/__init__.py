"""Where rows come from: JSON Lines and Parquet files, datasets of the Hub that are on this machine; and how rows become
problems."""
