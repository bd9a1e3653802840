"""The generated codec, held to Google's protobuf on valid and on broken input."""
