//! The data stage: from a file to columns, a split and a sampling table. Host only; no device is known here.

pub mod check;
pub mod clean;
pub mod columns;
pub mod delimiter;
pub mod download;
pub mod fault;
pub mod foreign;
pub mod format;
pub mod id_suspicions;
pub mod ingest;
pub mod interactions;
pub mod marginals;
pub mod oversample;
pub mod parts;
pub mod progress;
pub mod readers;
pub mod report;
pub mod source;
pub mod split;
pub mod synthetic;
pub mod titles;
pub mod user_ids;
pub mod usual_scales;
pub mod vocabulary;
