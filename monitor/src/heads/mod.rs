//! What is known of a log's heads, whoever showed them, and what of it cannot be.
