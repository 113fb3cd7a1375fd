"""What each command does, apart from how it is called: arguments in, one JSON document out."""
