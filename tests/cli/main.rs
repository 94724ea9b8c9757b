//! The binary as a user meets it: whole trainings, resumed ones, wrong input, a real terminal.

#[path = "../common/needs.rs"]
mod needs;
mod newer_runs;

mod bad_input;
mod bench;
mod choices;
mod completions;
mod damage;
mod earlier;
mod embeddings;
mod events;
mod first_light;
mod fold_in;
mod hostile_text;
mod judging;
mod kills;
mod memory;
mod one_screen;
mod real_data;
mod recommend;
mod same_bytes;
mod scene;
mod serve;
mod server;
mod sweep;
mod table;
mod terminal;
