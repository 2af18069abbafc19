"""SQL over the scores, asked in the reader's browser: the engine, and the tables that it is fed."""
