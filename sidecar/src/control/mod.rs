//! The control plane: one command grammar and the doors to it.
