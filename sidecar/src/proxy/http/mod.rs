//! HTTP through a listener: each request is balanced by itself, whatever its connection.

mod settings;

pub(in crate::proxy) use settings::Settings;
