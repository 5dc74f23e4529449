//! The engine itself, with a shell script in the sidecar's place.

mod creation;
mod events;
mod images;
mod life;
mod logs;
mod networks;
