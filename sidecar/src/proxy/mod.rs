//! Bytes: listeners, SOCKS5, and the relay between client and instance.
