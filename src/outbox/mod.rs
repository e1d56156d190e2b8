//! Images that are kept until they have arrived: a job's states, and the driver that takes it through them.

pub mod courier;
pub mod job;
mod kept;
