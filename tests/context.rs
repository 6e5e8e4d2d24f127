//! Conversations that outgrow the model's window: long runs, prompts that the server refuses as too long, reasoning
//! that is bound to what precedes it.
//!
//! If one of these fails, a long run dies of a request that the service refuses, forgets its task, or pays for a cold
//! prompt cache on every turn.

mod long_runs;
mod overflow;
mod reasoning;
