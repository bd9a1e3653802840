"""Arrays, frames of video and text as messages of the data contract."""
