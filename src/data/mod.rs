//! The data stage: from a file to columns, a split and a sampling table. Host only; no device is known here.

pub mod ingest;
pub mod interactions;
pub mod oversample;
pub mod source;
pub mod split;
pub mod synthetic;
pub mod vocabulary;
