"""Sources of rows: JSON Lines and Parquet files and local copies of Hub datasets; and the conversion of rows to
problems."""
