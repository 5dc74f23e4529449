//! The API document against the door that it describes.
