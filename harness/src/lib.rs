//! Launches the example mesh, checks it, breaks it, reports.
