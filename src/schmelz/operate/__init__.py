"""What happens on a clock or on an operator's word: the cluster follows, records are read, letters go out."""
