//! Who is there and what they offer: discovery between sidecars.
