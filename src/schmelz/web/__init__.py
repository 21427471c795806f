"""The pages: one of three faces; views ask and show, and decide nothing."""
