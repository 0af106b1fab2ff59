//! How the client behaves, over canned answers.

mod answers;
mod lists;
mod requests;
mod settings;
mod waits;
mod writes;
