"""What the routes answer with, as marshmallow schemas; what they take is with the part that takes it."""
