"""The pages: one of three faces. Views ask queries and call actions; they decide nothing."""
