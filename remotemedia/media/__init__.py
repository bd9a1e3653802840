"""The methods of the data contract's messages: arrays, frames of video, text.

The generated messages of ``remotemedia.data_v1`` inherit from the mixins here, so
nothing here imports generated code. numpy is imported when it is needed.
"""
